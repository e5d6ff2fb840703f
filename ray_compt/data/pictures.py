"""Decoding pictures that strangers made."""

from __future__ import annotations

import io
import warnings

from PIL import Image

# 8192 x 8192. Decoded it takes 256 MiB; the header tells the size, so a larger one costs nothing.
MAX_PIXELS = 1 << 26
# No format here runs other programs or follows references.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


def decode_picture(content: bytes, least_side: int | None = None) -> Image.Image:
    """The picture as RGB; transparency is dropped as `open_clip_train` (WebDataset's "pilrgb") drops it.

    Args:
        least_side: decode a JPEG at a half, a quarter or an eighth of its size where its shorter side still has
            so many pixels then (libjpeg's scaled inverse DCT); None: at its size.

    Raises:
        ValueError: more than `MAX_PIXELS`.
        Exception: whatever Pillow raises on a picture that it cannot read; a truncated one is an OSError.
    """
    with warnings.catch_warnings():
        # Pillow's warnings about odd metadata and large pictures; too large ones are refused below.
        warnings.simplefilter("ignore")
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS:,}")
        if least_side is not None:
            picture.draft("RGB", (least_side, least_side))
        return picture.convert("RGB")
