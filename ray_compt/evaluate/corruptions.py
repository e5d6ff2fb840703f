"""Pictures made worse, the same way every time: noise, blur, light and compression, in five severities.

After ImageNet-C (Hendrycks and Dietterich, arXiv 1903.12261), whose parameters they take; but applied to pictures at
the model's own size, where theirs are 224 pixels wide, so results are not the published benchmark's. To add one, write
a function and give it a line in `_FUNCTIONS` and a name in `config/suite_keys.py`.
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

# Standard deviation of the noise, of 1.
_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)
# Standard deviation of the blur, pixels of 224.
_BLUR = (1.0, 2.0, 3.0, 4.0, 6.0)
_BLUR_SIDE = 224
# Added to the value (of hue, saturation and value), of 1.
_LIGHT = (0.1, 0.2, 0.3, 0.4, 0.5)
# Quality of the JPEG file.
_QUALITY = (25, 18, 15, 10, 7)


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
        return _FUNCTIONS[self.name](picture, self.severity - 1, seed_63(self.seed, self.name, key))


def gaussian_noise(picture: Tensor, level: int, seed: int) -> Tensor:
    """Independent normal noise on every value."""
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))
    return _bytes(picture / 255 + _NOISE[level] * noise)


def blur(picture: Tensor, level: int, _seed: int) -> Tensor:
    """Convolution with a Gaussian whose width is a fixed share of the picture's."""
    sigma = _BLUR[level] * picture.shape[-1] / _BLUR_SIDE
    # Reflection at the border needs a kernel that reaches no further than the picture.
    reach = min(math.ceil(3 * sigma), min(picture.shape[-2:]) - 1)
    return gaussian_blur(picture, [2 * reach + 1] * 2, [sigma] * 2) if reach > 0 else picture


def brightness(picture: Tensor, level: int, _seed: int) -> Tensor:
    """The value of HSV raised, hue and saturation kept: all three channels times new value / old value."""
    pixels = picture / 255
    value = pixels.amax(dim=0)
    raised = (value + _LIGHT[level]).clamp(max=1)
    return _bytes(torch.where(value > 0, pixels * (raised / value.clamp(min=1e-6)), raised))


def jpeg(picture: Tensor, level: int, _seed: int) -> Tensor:
    """Written as a JPEG file of low quality, and read again."""
    buffer = io.BytesIO()
    to_pil_image(picture).save(buffer, "JPEG", quality=_QUALITY[level])
    return pil_to_tensor(Image.open(buffer).convert("RGB"))


def _bytes(pixels: Tensor) -> Tensor:
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


_FUNCTIONS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "gaussian_noise": gaussian_noise,
    "blur": blur,
    "brightness": brightness,
    "jpeg": jpeg,
}
