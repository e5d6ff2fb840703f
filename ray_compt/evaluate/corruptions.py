"""Pictures made worse, the same way every time: noise, blur, light and compression, in five severities.

The parameters are those of CIFAR-10-C for pictures of up to 64 pixels and of ImageNet-C for larger ones (Hendrycks and
Dietterich, arXiv 1903.12261); but applied to pictures at the model's own size, where theirs are 32 and 224 pixels wide,
so that results are not the published benchmarks'. To add one, write a function and give it a line in `_FUNCTIONS` and a
name in `config/suite_keys.py`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur, pil_to_tensor, to_pil_image

from ray_compt.data.randomness import seed_63

SMALL_SIDE = 64
# For each severity, of small pictures and of others.
_NOISE = ((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38))  # standard deviation, of 1
_BLUR = ((0.4, 0.6, 0.7, 0.8, 1.0), (1.0, 2.0, 3.0, 4.0, 6.0))  # standard deviation, pixels
_LIGHT = ((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5))  # added to the value of HSV, of 1
_QUALITY = ((80, 65, 58, 50, 40), (25, 18, 15, 10, 7))  # of the JPEG file


@dataclass(frozen=True)
class Corruption:
    """A change of pictures, a function of the picture and its key.

    Attributes:
        name: as in the suite file.
        severity: 1 to 5.
        seed: of the noise.
    """

    name: str
    severity: int
    seed: int

    def __call__(self, picture: Tensor, key: str) -> Tensor:
        """uint8 [3, H, W] to uint8 [3, H, W]."""
        large = int(max(picture.shape[-2:]) > SMALL_SIDE)
        change, parameters = _FUNCTIONS[self.name]
        return change(picture, parameters[large][self.severity - 1], seed_63(self.seed, self.name, key))


def gaussian_noise(picture: Tensor, deviation: float, seed: int) -> Tensor:
    """Independent normal noise on every value."""
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))
    return _bytes(picture / 255 + deviation * noise)


def blur(picture: Tensor, deviation: float, _seed: int) -> Tensor:
    """Convolution with a Gaussian."""
    # Reflection at the border needs a kernel that reaches no further than the picture.
    reach = min(math.ceil(4 * deviation), min(picture.shape[-2:]) - 1)
    return gaussian_blur(picture, [2 * reach + 1] * 2, [deviation] * 2) if reach > 0 else picture


def brightness(picture: Tensor, added: float, _seed: int) -> Tensor:
    """The value of HSV raised, hue and saturation kept: all three channels times new value / old value."""
    pixels = picture / 255
    value = pixels.amax(dim=0)
    raised = (value + added).clamp(max=1)
    return _bytes(torch.where(value > 0, pixels * (raised / value.clamp(min=1e-6)), raised))


def jpeg(picture: Tensor, quality: float, _seed: int) -> Tensor:
    """Written as a JPEG file of low quality, and read again."""
    buffer = io.BytesIO()
    to_pil_image(picture).save(buffer, "JPEG", quality=int(quality))
    return pil_to_tensor(Image.open(buffer).convert("RGB"))


def _bytes(pixels: Tensor) -> Tensor:
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


Change = Callable[[Tensor, float, int], Tensor]
Severities = tuple[float, ...]
_FUNCTIONS: dict[str, tuple[Change, tuple[Severities, Severities]]] = {
    "gaussian_noise": (gaussian_noise, _NOISE),
    "blur": (blur, _BLUR),
    "brightness": (brightness, _LIGHT),
    "jpeg": (jpeg, _QUALITY),
}
