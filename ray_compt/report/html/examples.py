"""Retrieval examples with their pictures: what a model takes for what, right and wrong.

`embed_examples` looks at a few samples of a split, `choose_examples` picks the ones to show: of those that are wrong
the ones of which the model is most certain, of those that are right a few, evenly. Which pictures are looked at depends
on the split alone.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from ray_compt.data import Index, Preprocess, RawSample
from ray_compt.evaluate import Embedder
from ray_compt.evaluate.texts import Tokenizer, tokenise

SAMPLES, SHARDS = 200, 8
SHOWN, CANDIDATES = 6, 3
SIDE = 96
BATCH = 32
LONGEST_CAPTION = 200


@dataclass(frozen=True)
class Seen:
    """A few samples through a model.

    Attributes:
        thumbnails: [N] data URIs of the pictures as the model sees them.
        captions: [U] their distinct first captions.
        own: [N] the number of each picture's caption.
        similarity: [N, U] cosines, float32 on the CPU.
    """

    thumbnails: Sequence[str]
    captions: Sequence[str]
    own: Sequence[int]
    similarity: Tensor


@dataclass(frozen=True)
class Candidate:
    """One answer to a query: a caption, or a picture with its caption.

    Attributes:
        similarity: cosine.
        right: whether it belongs to the query.
    """

    caption: str
    similarity: float
    right: bool
    thumbnail: str | None = None


@dataclass(frozen=True)
class Example:
    """A query and its nearest answers, the nearest first; `thumbnail` is None where a caption asks.

    Attributes:
        rank: place of the nearest right answer, from 1.
    """

    caption: str
    thumbnail: str | None
    answers: Sequence[Candidate]
    rank: int

    @property
    def right(self) -> bool:
        return self.rank == 1


@dataclass(frozen=True)
class Examples:
    """What a report shows of a split.

    Attributes:
        model: name of the stage that looked.
        looked_at: pictures that were embedded, with `captions` distinct captions.
        image_to_text, text_to_image: examples, the right ones first.
    """

    model: str
    looked_at: int
    captions: int
    image_to_text: Sequence[Example]
    text_to_image: Sequence[Example]


def few_samples(index: Index, most: int = SAMPLES, shards: int = SHARDS) -> Iterator[RawSample]:
    """The first samples of some shards that lie evenly in a split, at most `most` together."""
    count = min(shards, len(index.shards))
    each = -(-most // count)
    for number in range(count):
        shard = number * len(index.shards) // count
        yield from index.read(shard, 0, min(each, index.shards[shard].samples))


def embed_examples(
    model: nn.Module, index: Index, preprocess: Preprocess, tokenizer: Tokenizer, *, device: str = "cpu"
) -> Seen | None:
    """Look at a few samples; those that cannot be decoded are left out. None where no two captions are left.

    Args:
        model: an open_clip CLIP on `device`, in evaluation mode.
        index: the split.
        preprocess: its deterministic side is used.
        tokenizer: captions -> int64 [n, L].

    Raises:
        OSError, UserError: the split cannot be read, or the tokenizer cannot tell its captions apart.
    """
    pictures, own = [], []
    captions: dict[str, int] = {}
    for raw in few_samples(index):
        try:
            pictures.append(preprocess.evaluate(raw))
        # Pillow raises nearly every exception there is on a broken picture.
        except Exception:
            continue
        own.append(captions.setdefault(raw.captions[0], len(captions)))
    if len(captions) < 2:
        return None
    embedder = Embedder(model, preprocess.mean, preprocess.std, batch=BATCH, device=device)
    tokens = tokenise(tokenizer, list(captions))
    similarity = embedder.pictures(torch.stack(pictures)) @ embedder.texts(tokens).T
    return Seen([thumbnail(picture) for picture in pictures], list(captions), own, similarity)


def choose_examples(seen: Seen, model: str, shown: int = SHOWN) -> Examples:
    """The examples that a report shows: at most `shown` right and as many wrong ones in each direction."""
    pictures, captions = range(len(seen.own)), range(len(seen.captions))
    own = torch.tensor(seen.own)
    image_to_text = [
        _example(
            seen.captions[seen.own[row]],
            seen.thumbnails[row],
            seen.similarity[row],
            torch.arange(len(seen.captions)) == own[row],
            [(caption, None) for caption in seen.captions],
        )
        for row in pictures
    ]
    answers = [(seen.captions[place], thumb) for place, thumb in zip(seen.own, seen.thumbnails)]
    text_to_image = [
        _example(seen.captions[column], None, seen.similarity[:, column], own == column, answers)
        for column in captions
    ]
    return Examples(
        model, len(seen.own), len(seen.captions), _pick(image_to_text, shown), _pick(text_to_image, shown)
    )


def thumbnail(pixels: Tensor) -> str:
    """A data URI of a picture, uint8 [3, H, W], at most `SIDE` pixels wide."""
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    buffer = io.BytesIO()
    if picture.width > SIDE:
        picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=80)
        kind = "jpeg"
    else:
        # As it is: a picture this small is looked at pixel by pixel.
        picture.save(buffer, "PNG", optimize=True)
        kind = "png"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _example(
    caption: str,
    thumb: str | None,
    similarity: Tensor,
    right: Tensor,
    answers: Sequence[tuple[str, str | None]],
) -> Example:
    """A query against all answers; `similarity` and `right` are [answers]."""
    best = similarity[right].max()
    # A wrong answer that is exactly as near is ahead, as in `evaluate.metrics.ranks`.
    rank = 1 + int(((similarity >= best) & ~right).sum())
    # Stable, wrong ones first among equals, for the same reason.
    order = sorted(range(len(answers)), key=lambda one: (-float(similarity[one]), bool(right[one])))
    nearest = [
        Candidate(_short(answers[one][0]), float(similarity[one]), bool(right[one]), answers[one][1])
        for one in order[:CANDIDATES]
    ]
    return Example(_short(caption), thumb, nearest, rank)


def _pick(examples: Sequence[Example], shown: int) -> list[Example]:
    right = [example for example in examples if example.right]
    wrong = [example for example in examples if not example.right]
    evenly = [right[number * len(right) // shown] for number in range(shown)] if len(right) > shown else right
    return evenly + sorted(wrong, key=lambda example: -example.answers[0].similarity)[:shown]


def _short(caption: str) -> str:
    return caption if len(caption) <= LONGEST_CAPTION else f"{caption[: LONGEST_CAPTION - 1]}…"
