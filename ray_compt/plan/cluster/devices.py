"""What devices can do at most, as their makers publish it. A further device is a row here.

Peaks are dense: datasheets often print the double of them, with structured sparsity. Those of the H100 were looked up
for this table, the others are what was known of the datasheets that they name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ray_compt.errors import UserError
from ray_compt.models.names import meant

Precision = Literal["fp32", "bf16", "fp16"]

TERA, GIGA = 1e12, 1e9


@dataclass(frozen=True)
class Device:
    """A device that computes.

    Attributes:
        name: as Ray's resource `accelerator_type:NAME` calls it; `vCPU` for a core's hardware thread.
        peak: dense FLOP/s by precision; fp32 without TF32, which PyTorch leaves off for matrix products.
        memory: bytes; 0 where the node's memory is shared.
        bandwidth: of its memory, bytes/s.
        link: to its neighbours in the node, bytes/s in one direction: NVLink, else PCIe.
        source: where the numbers are published, with the year.
    """

    name: str
    peak: Mapping[Precision, float]
    memory: float
    bandwidth: float
    link: float
    source: str

    def rate(self, precision: Precision) -> float:
        """Peak FLOP/s.

        Raises:
            UserError: the device does not compute in this precision.
        """
        if precision not in self.peak:
            others = " or ".join(f"train.precision={name}" for name in self.peak)
            raise UserError(
                f"a {self.name} does not compute in {precision}",
                where="train.precision",
                mend=f"use --set {others}, or instances with another device",
            )
        return self.peak[precision]

    @property
    def cpu(self) -> bool:
        return self.name == VCPU


def _gpu(
    name: str, fp32: float, half: float, memory: float, bandwidth: float, link: float, source: str
) -> Device:
    """A GPU: TFLOP/s, GB, GB/s; `half` in bf16 and fp16 alike."""
    peak: dict[Precision, float] = {"fp32": fp32 * TERA, "bf16": half * TERA, "fp16": half * TERA}
    return Device(name, peak, memory * GIGA, bandwidth * GIGA, link * GIGA, source)


def _without_bf16(device: Device) -> Device:
    peak: dict[Precision, float] = {name: rate for name, rate in device.peak.items() if name != "bf16"}
    return Device(device.name, peak, device.memory, device.bandwidth, device.link, device.source)


VCPU = "vCPU"
# Two fused multiply-adds of 16 lanes a cycle at 2.5 GHz.
_VCPU = Device(
    VCPU,
    {"fp32": 160e9},
    memory=0.0,
    bandwidth=5 * GIGA,
    link=1 * GIGA,
    source="a whole core with two AVX-512 units at 2.5 GHz; link: gloo over loopback (assumed)",
)

_NVIDIA = (
    _gpu("B200", 75, 2250, 180, 7700, 900, "NVIDIA HGX B200 datasheet, 2025"),
    _gpu("H200", 67, 989, 141, 4800, 450, "NVIDIA H200 datasheet, 2024"),
    _gpu("H100", 67, 989, 80, 3350, 450, "NVIDIA H100 (SXM5) datasheet, 2023"),
    _gpu("A100-80G", 19.5, 312, 80, 2039, 300, "NVIDIA A100 80GB (SXM4) datasheet, 2021"),
    _gpu("A100-40G", 19.5, 312, 40, 1555, 300, "NVIDIA A100 40GB (SXM4) datasheet, 2020"),
    _gpu("L40S", 91.6, 362, 48, 864, 32, "NVIDIA L40S datasheet, 2023; PCIe 4.0 x16"),
    _gpu("L4", 30.3, 121, 24, 300, 32, "NVIDIA L4 datasheet, 2023; PCIe 4.0 x16"),
    _gpu("A10G", 35, 70, 24, 600, 32, "AWS and NVIDIA A10G datasheet, 2022; PCIe 4.0 x16"),
    _gpu("A10", 31.2, 125, 24, 600, 32, "NVIDIA A10 datasheet, 2021; PCIe 4.0 x16"),
    _without_bf16(_gpu("V100", 15.7, 125, 16, 900, 150, "NVIDIA V100 (SXM2) datasheet, 2018")),
    _without_bf16(_gpu("T4", 8.1, 65, 16, 320, 16, "NVIDIA T4 datasheet, 2018; PCIe 3.0 x16")),
)
DEVICES: Mapping[str, Device] = {device.name: device for device in (*_NVIDIA, _VCPU)}


def find_device(name: str, where: str) -> Device:
    """A device of the table by name.

    Raises:
        UserError: it is not there; the mend names the nearest.
    """
    found = DEVICES.get(name)
    if found is None:
        raise UserError(
            f"no device {name} in the table",
            where=where,
            mend=f"{meant(name, DEVICES)}known are {', '.join(DEVICES)} (ray_compt/plan/cluster/devices.py)",
        )
    return found
