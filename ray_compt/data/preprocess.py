"""From a stored sample to tensors: open_clip's own transforms and tokenizer, made pure.

Each picture is augmented by torchvision and open_clip code that draws from global generators; here the draw is
seeded with (seed, epoch, key) and the generators are put back afterwards, so that any worker at any time makes
the same picture. Pictures stay uint8 until `normalise` runs on the device: a quarter of the bytes to move.
"""

from __future__ import annotations

import functools
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from open_clip import transform as open_clip_transform
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image
from torchvision.transforms import Compose, InterpolationMode, RandomResizedCrop
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from ray_compt.config.augment_keys import AugmentConfig
from ray_compt.config.schema import DataConfig
from ray_compt.data.captions import draw_captions
from ray_compt.data.pictures import MAX_PIXELS, decode_picture
from ray_compt.data.randomness import draw_epoch, seed_63
from ray_compt.data.resize import TorchRandomResizedCrop
from ray_compt.data.samples import RawSample
from ray_compt.models import make_tokenizer

Transform = Callable[[Image.Image], Any]


@dataclass(frozen=True)
class Preprocess:
    """How samples become tensors; small and picklable, the tokenizer is made where it is used.

    Attributes:
        image_size: side of the square picture, pixels.
        mean, std: the model's normalisation, RGB.
        augment: the random part of training pictures.
        context_length: tokens of a caption, L.
        captions_per_image: captions drawn for a training picture, K.
        tokenizer: open_clip's configuration of the model whose tokenizer is used.
        seed: the chain's seed.
        resize: whose kernel resizes training pictures, "pillow" or "torch".
        jpeg_draft: decode large training JPEGs at a fraction of their size.
        augment_epochs: epochs after which crops and captions repeat; None: never.
    """

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    augment: AugmentConfig
    context_length: int
    captions_per_image: int
    tokenizer: dict[str, Any]
    seed: int
    resize: str = "pillow"
    jpeg_draft: bool = False
    augment_epochs: int | None = None
    _tokenizer_key: str = field(init=False, repr=False, compare=False, default="")

    def __post_init__(self) -> None:
        # Processes cache transforms and tokenizers by what they are made from; this is the tokenizer's part.
        object.__setattr__(self, "_tokenizer_key", json.dumps(self.tokenizer, sort_keys=True))

    def train(self, raw: RawSample, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented picture uint8 [3, H, W] and tokens int64 [K, L], a function of (seed, epoch, raw.key).

        With `augment_epochs`, epochs that are equal modulo it give the same.

        Raises:
            Exception: whatever Pillow raises on a picture that it cannot read.
        """
        # Nothing else may follow the drawn epoch: the order of samples is that of the true one.
        epoch = draw_epoch(epoch, self.augment_epochs)
        side = _least_side(self.image_size, self.augment) if self.jpeg_draft else None
        picture = decode_picture(raw.image, side)
        captions = draw_captions(raw.captions, self.captions_per_image, self.seed, epoch, raw.key)
        with _seeded(seed_63(self.seed, epoch, raw.key, "augment")):
            pixels = _training_transform(self.image_size, self.augment, self.resize)(picture)
            # Some of open_clip's tokenizers drop words at random.
            tokens = _tokenizer(self._tokenizer_key)(captions)
        return pixels, tokens

    def evaluate(self, raw: RawSample) -> torch.Tensor:
        """Picture uint8 [3, H, W] by open_clip's evaluation transform (resize shortest side, centre crop).

        Raises:
            Exception: whatever Pillow raises on a picture that it cannot read.
        """
        picture = decode_picture(raw.image)
        if self.image_size**2 * max(picture.size) > MAX_PIXELS * min(picture.size):
            raise ValueError(f"{picture.width} x {picture.height} pixels: too thin to resize")
        return pil_to_tensor(_evaluation_transform(self.image_size)(picture))


def make_preprocess(
    data: DataConfig,
    config: dict[str, Any],
    *,
    seed: int,
    mean: Sequence[float] = OPENAI_DATASET_MEAN,
    std: Sequence[float] = OPENAI_DATASET_STD,
) -> Preprocess:
    """The preprocessing of a model (open_clip's `config`) on the data of a chain file."""
    return Preprocess(
        image_size=data.image_size,
        mean=_rgb(mean),
        std=_rgb(std),
        augment=data.augment,
        context_length=config["text_cfg"].get("context_length", 77),
        captions_per_image=data.captions_per_image,
        tokenizer=config,
        seed=seed,
        resize=data.resize,
        jpeg_draft=data.jpeg_draft,
        augment_epochs=data.augment_epochs,
    )


def normalise(images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """uint8 [..., 3, H, W] to float32 of the same shape and device: torchvision's ToTensor and Normalize."""
    shape = (3, 1, 1)
    scaled = images.to(torch.float32).div_(255)
    channel_mean = torch.tensor(mean, dtype=torch.float32, device=images.device).view(shape)
    channel_std = torch.tensor(std, dtype=torch.float32, device=images.device).view(shape)
    return scaled.sub_(channel_mean).div_(channel_std)


def _rgb(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


@functools.lru_cache(maxsize=4)
def _training_transform(image_size: int, augment: AugmentConfig, resize: str) -> Transform:
    """The steps of `open_clip.image_transform(is_train=True)` before ToTensor, with the crop's ratio open.

    The result takes an RGB picture to uint8 [3, H, W].
    """
    colours: list[Transform] = []
    if augment.color_jitter is not None and augment.color_jitter_prob:
        colours.append(open_clip_transform.color_jitter(*augment.color_jitter, p=augment.color_jitter_prob))
    if augment.gray_scale_prob:
        colours.append(open_clip_transform.gray_scale(augment.gray_scale_prob))
    if resize == "torch":
        crop = TorchRandomResizedCrop(image_size, augment.scale, augment.ratio)
        return Compose([crop, to_pil_image, *colours, pil_to_tensor]) if colours else crop
    return Compose(
        [
            RandomResizedCrop(
                image_size, scale=augment.scale, ratio=augment.ratio, interpolation=InterpolationMode.BICUBIC
            ),
            *colours,
            pil_to_tensor,
        ]
    )


def _least_side(image_size: int, augment: AugmentConfig) -> int:
    """Shorter side, pixels, of pictures of which no random crop has to be enlarged."""
    narrowest = min(augment.ratio[0], 1 / augment.ratio[1])
    return math.ceil(image_size / math.sqrt(augment.scale[0] * narrowest))


@functools.lru_cache(maxsize=4)
def _evaluation_transform(image_size: int) -> Transform:
    steps = open_clip_transform.image_transform(image_size, is_train=False).transforms
    # The last two are ToTensor and Normalize, which `normalise` does on the device.
    return Compose(steps[:-2])


@functools.lru_cache(maxsize=4)
def _tokenizer(config: str) -> Callable[[list[str]], torch.Tensor]:
    return make_tokenizer(json.loads(config))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Python's and torch's CPU generators seeded inside, as found outside."""
    # torch.manual_seed would also queue a seeding of every accelerator, with a stack trace, each time.
    generator = torch.default_generator
    torch_state, python_state = generator.get_state(), random.getstate()
    generator.manual_seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        generator.set_state(torch_state)
        random.setstate(python_state)
