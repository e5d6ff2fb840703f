"""Machines that clouds rent out: devices, threads, network, and prices as an order of magnitude.

Prices are US dollars an hour for Linux in a cheap American region, rounded. Those of p5, p3 and g6 were looked up
in SkyPilot's public catalogue for us-east-1 late in 2025 (github.com/skypilot-org/skypilot-catalog, catalogs/v8). All
others, those of Google Cloud (us-central1) and Azure (eastus) among them, and the networks are what was known of the
public lists of 2025 and were not looked up again: orders of magnitude. Spot prices change by the day and by the zone
by a factor of two and more. A network of "up to" so much is taken at half. A further instance type is a row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ray_compt.errors import UserError
from ray_compt.models.names import meant
from ray_compt.plan.cluster.devices import DEVICES, VCPU, Device

PRICES_FROM = "late 2025"


@dataclass(frozen=True)
class Instance:
    """A type of machine.

    Attributes:
        cloud: aws, gcp, azure; `local` for one's own.
        name: the cloud's.
        device: what its workers compute on.
        devices: number of GPUs; 0 where it has none.
        vcpus: hardware threads.
        network_gbit: Gbit/s to other nodes, in one direction.
        price: of an hour on demand, US dollars.
        spot_price: of an hour as a spot instance.
    """

    cloud: str
    name: str
    device: Device
    devices: int
    vcpus: float
    network_gbit: float
    price: float
    spot_price: float


# (name, device, devices, vCPUs, Gbit/s, on demand, spot)
_Row = tuple[str, str, int, int, float, float, float]

_AWS: tuple[_Row, ...] = (
    ("p6-b200.48xlarge", "B200", 8, 192, 3200, 114, 60),
    ("p5en.48xlarge", "H200", 8, 192, 3200, 63, 28),
    ("p5.48xlarge", "H100", 8, 192, 3200, 55, 19),
    ("p5.4xlarge", "H100", 1, 16, 100, 6.9, 3),
    ("p4de.24xlarge", "A100-80G", 8, 96, 400, 27, 12),
    ("p4d.24xlarge", "A100-40G", 8, 96, 400, 22, 9),
    ("g6e.xlarge", "L40S", 1, 4, 10, 1.9, 0.9),
    ("g6e.2xlarge", "L40S", 1, 8, 10, 2.2, 1.0),
    ("g6e.4xlarge", "L40S", 1, 16, 20, 3.0, 1.4),
    ("g6e.8xlarge", "L40S", 1, 32, 25, 4.5, 2.0),
    ("g6e.12xlarge", "L40S", 4, 48, 100, 10.5, 4.5),
    ("g6e.24xlarge", "L40S", 4, 96, 200, 15, 6.5),
    ("g6e.48xlarge", "L40S", 8, 192, 400, 30, 13),
    ("g6.xlarge", "L4", 1, 4, 5, 0.8, 0.35),
    ("g6.2xlarge", "L4", 1, 8, 5, 1.0, 0.4),
    ("g6.4xlarge", "L4", 1, 16, 12.5, 1.3, 0.6),
    ("g6.8xlarge", "L4", 1, 32, 25, 2.0, 0.9),
    ("g6.12xlarge", "L4", 4, 48, 40, 4.6, 1.9),
    ("g6.16xlarge", "L4", 1, 64, 25, 3.4, 1.1),
    ("g6.24xlarge", "L4", 4, 96, 50, 6.7, 2.8),
    ("g6.48xlarge", "L4", 8, 192, 100, 13.4, 5.5),
    ("g5.xlarge", "A10G", 1, 4, 5, 1.0, 0.45),
    ("g5.2xlarge", "A10G", 1, 8, 5, 1.2, 0.5),
    ("g5.4xlarge", "A10G", 1, 16, 12.5, 1.6, 0.7),
    ("g5.8xlarge", "A10G", 1, 32, 25, 2.4, 1.0),
    ("g5.12xlarge", "A10G", 4, 48, 40, 5.7, 2.3),
    ("g5.24xlarge", "A10G", 4, 96, 50, 8.1, 3.4),
    ("g5.48xlarge", "A10G", 8, 192, 100, 16, 7),
    ("g4dn.xlarge", "T4", 1, 4, 12.5, 0.53, 0.2),
    ("g4dn.2xlarge", "T4", 1, 8, 12.5, 0.75, 0.3),
    ("g4dn.4xlarge", "T4", 1, 16, 12.5, 1.2, 0.5),
    ("g4dn.12xlarge", "T4", 4, 48, 50, 3.9, 1.5),
    ("p3.2xlarge", "V100", 1, 8, 5, 3.1, 0.4),
    ("p3.8xlarge", "V100", 4, 32, 10, 12, 1.7),
    ("p3.16xlarge", "V100", 8, 64, 25, 24, 2.8),
    ("t3.large", VCPU, 0, 2, 2.5, 0.083, 0.03),
    ("t3.xlarge", VCPU, 0, 4, 2.5, 0.17, 0.06),
    ("t3.2xlarge", VCPU, 0, 8, 2.5, 0.33, 0.12),
    ("m5.large", VCPU, 0, 2, 5, 0.1, 0.04),
    ("m5.xlarge", VCPU, 0, 4, 5, 0.19, 0.08),
    ("m5.2xlarge", VCPU, 0, 8, 5, 0.38, 0.16),
    ("m5.4xlarge", VCPU, 0, 16, 5, 0.77, 0.32),
    ("m6i.large", VCPU, 0, 2, 6, 0.1, 0.04),
    ("m6i.xlarge", VCPU, 0, 4, 6, 0.19, 0.08),
    ("m6i.2xlarge", VCPU, 0, 8, 6, 0.38, 0.16),
    ("m6i.4xlarge", VCPU, 0, 16, 6, 0.77, 0.32),
    ("m7i.large", VCPU, 0, 2, 6, 0.1, 0.04),
    ("m7i.xlarge", VCPU, 0, 4, 6, 0.2, 0.08),
    ("m7i.2xlarge", VCPU, 0, 8, 6, 0.4, 0.16),
    ("m7i.4xlarge", VCPU, 0, 16, 6, 0.81, 0.32),
    ("c6i.4xlarge", VCPU, 0, 16, 6, 0.68, 0.3),
    ("c7i.4xlarge", VCPU, 0, 16, 6, 0.71, 0.3),
)
_GCP: tuple[_Row, ...] = (
    ("a3-highgpu-8g", "H100", 8, 208, 800, 88, 30),
    ("a3-highgpu-4g", "H100", 4, 104, 400, 44, 15),
    ("a3-highgpu-2g", "H100", 2, 52, 200, 22, 7.5),
    ("a3-highgpu-1g", "H100", 1, 26, 100, 11, 3.7),
    ("a3-megagpu-8g", "H100", 8, 208, 1600, 92, 32),
    ("a3-ultragpu-8g", "H200", 8, 224, 3200, 85, 35),
    ("a2-ultragpu-8g", "A100-80G", 8, 96, 100, 40, 20),
    ("a2-ultragpu-1g", "A100-80G", 1, 12, 24, 5.1, 2.5),
    ("a2-highgpu-8g", "A100-40G", 8, 96, 100, 29, 12),
    ("a2-highgpu-4g", "A100-40G", 4, 48, 50, 15, 6),
    ("a2-highgpu-2g", "A100-40G", 2, 24, 32, 7.3, 3),
    ("a2-highgpu-1g", "A100-40G", 1, 12, 24, 3.7, 1.5),
    ("g2-standard-4", "L4", 1, 4, 10, 0.7, 0.3),
    ("g2-standard-8", "L4", 1, 8, 16, 0.85, 0.35),
    ("g2-standard-12", "L4", 1, 12, 16, 1.0, 0.4),
    ("g2-standard-16", "L4", 1, 16, 32, 1.15, 0.45),
    ("g2-standard-24", "L4", 2, 24, 32, 2.0, 0.8),
    ("g2-standard-32", "L4", 1, 32, 32, 1.7, 0.7),
    ("g2-standard-48", "L4", 4, 48, 50, 4.0, 1.6),
    ("g2-standard-96", "L4", 8, 96, 100, 8.0, 3.2),
    ("n1-standard-4", VCPU, 0, 4, 10, 0.19, 0.04),
    ("n1-standard-8", VCPU, 0, 8, 16, 0.38, 0.08),
    ("n1-standard-16", VCPU, 0, 16, 32, 0.76, 0.16),
    ("n1-standard-32", VCPU, 0, 32, 32, 1.5, 0.32),
    ("n2-standard-2", VCPU, 0, 2, 5, 0.1, 0.03),
    ("n2-standard-4", VCPU, 0, 4, 5, 0.19, 0.05),
    ("n2-standard-8", VCPU, 0, 8, 8, 0.39, 0.1),
    ("n2-standard-16", VCPU, 0, 16, 16, 0.78, 0.2),
    ("e2-standard-2", VCPU, 0, 2, 2, 0.07, 0.02),
    ("e2-standard-4", VCPU, 0, 4, 4, 0.13, 0.04),
    ("e2-standard-8", VCPU, 0, 8, 8, 0.27, 0.08),
)
_AZURE: tuple[_Row, ...] = (
    ("Standard_ND96isr_H200_v5", "H200", 8, 96, 3200, 85, 40),
    ("Standard_ND96isr_H100_v5", "H100", 8, 96, 3200, 98, 40),
    ("Standard_NC40ads_H100_v5", "H100", 1, 40, 40, 7.0, 3),
    ("Standard_NC80adis_H100_v5", "H100", 2, 80, 80, 14, 6),
    ("Standard_ND96amsr_A100_v4", "A100-80G", 8, 96, 1600, 33, 13),
    ("Standard_ND96asr_v4", "A100-40G", 8, 96, 1600, 27, 11),
    ("Standard_NC24ads_A100_v4", "A100-80G", 1, 24, 20, 3.7, 1.5),
    ("Standard_NC48ads_A100_v4", "A100-80G", 2, 48, 40, 7.3, 3),
    ("Standard_NC96ads_A100_v4", "A100-80G", 4, 96, 80, 15, 6),
    ("Standard_NV36ads_A10_v5", "A10", 1, 36, 20, 3.2, 0.6),
    ("Standard_NV72ads_A10_v5", "A10", 2, 72, 40, 6.5, 1.3),
    ("Standard_NC4as_T4_v3", "T4", 1, 4, 4, 0.53, 0.2),
    ("Standard_NC8as_T4_v3", "T4", 1, 8, 4, 0.75, 0.3),
    ("Standard_NC16as_T4_v3", "T4", 1, 16, 4, 1.2, 0.5),
    ("Standard_NC64as_T4_v3", "T4", 4, 64, 32, 4.4, 1.7),
    ("Standard_D2s_v5", VCPU, 0, 2, 6, 0.1, 0.02),
    ("Standard_D4s_v5", VCPU, 0, 4, 6, 0.19, 0.04),
    ("Standard_D8s_v5", VCPU, 0, 8, 6, 0.38, 0.08),
    ("Standard_D16s_v5", VCPU, 0, 16, 6, 0.77, 0.15),
    ("Standard_D2s_v3", VCPU, 0, 2, 1, 0.1, 0.02),
    ("Standard_D4s_v3", VCPU, 0, 4, 2, 0.19, 0.04),
    ("Standard_D8s_v3", VCPU, 0, 8, 4, 0.38, 0.08),
)


def _table(cloud: str, rows: tuple[_Row, ...]) -> dict[str, Instance]:
    return {row[0]: Instance(cloud, row[0], DEVICES[row[1]], *row[2:]) for row in rows}


INSTANCES: Mapping[str, Mapping[str, Instance]] = {
    "aws": _table("aws", _AWS),
    "gcp": _table("gcp", _GCP),
    "azure": _table("azure", _AZURE),
}
# What Google Cloud attaches to an N1: device, price of one on demand, as spot.
ATTACHED: Mapping[str, tuple[str, float, float]] = {
    "nvidia-tesla-t4": ("T4", 0.35, 0.14),
    "nvidia-tesla-v100": ("V100", 2.5, 0.9),
}


def find_instance(cloud: str, name: str, where: str) -> Instance:
    """A cloud's instance type by name.

    Raises:
        UserError: it is not in the table; the mend names the nearest.
    """
    found = INSTANCES[cloud].get(name)
    if found is None:
        raise UserError(
            f"no instance type {name} of {cloud} in the table of prices and devices",
            where=where,
            mend=meant(name, INSTANCES[cloud])
            + "add a row to ray_compt/plan/cluster/instances.py, or name another type",
        )
    return found
