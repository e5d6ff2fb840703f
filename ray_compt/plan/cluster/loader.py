"""What reading costs: bytes a second, and hardware threads that decode.

CPU milliseconds a sample are those of docs/performance.md ("Most of the loader is Pillow"): pictures stored at 128
pixels to 64, and at 256 to 224, in between and beyond along a line over the pixels; what delivery through Ray Data adds
is that page's "alone" over "delivered".
"""

from __future__ import annotations

from dataclasses import dataclass

from ray_compt.config.schema import DataConfig

# (side in pixels, CPU-ms a sample) by kernel.
MEASURED = {"pillow": ((64, 0.72), (224, 2.00)), "torch": ((64, 0.59), (224, 1.24))}
DELIVERY = 636 / 540
CAPTION_MS = 0.009


@dataclass(frozen=True)
class LoaderNeed:
    """What the readers of all workers need together.

    Attributes:
        samples_s: samples a second.
        cpu_s: hardware threads' seconds a sample.
        bytes: of a stored sample.
    """

    samples_s: float
    cpu_s: float
    bytes: float

    @property
    def cores(self) -> float:
        return self.samples_s * self.cpu_s

    @property
    def megabytes_s(self) -> float:
        return self.samples_s * self.bytes / 1e6


def sample_cpu_s(data: DataConfig) -> float:
    """CPU seconds from a stored sample to its tensors in the training process."""
    (small, low), (large, high) = MEASURED[data.resize]
    slope = (high - low) / (large**2 - small**2)
    picture = max(low + slope * (data.image_size**2 - small**2), 0.0)
    return 1e-3 * DELIVERY * (picture + CAPTION_MS * (data.captions_per_image - 1))
