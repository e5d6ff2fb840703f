"""Labelled pictures of a torchvision data set that already lies on this machine; nothing is downloaded."""

from __future__ import annotations

import difflib
import functools
import hashlib
import inspect
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ray_compt.data.samples import RawSample, Shard
from ray_compt.data.source import Contents, Progress
from ray_compt.errors import UserError


@dataclass(frozen=True)
class TorchvisionSource:
    """A data set of one class a picture as one virtual shard; a picture's only caption is its class.

    Attributes:
        name: of the class in `torchvision.datasets`.
        root: folder that the data set takes as its root, on every node that reads.
        split: "train", "test", or another one that the data set knows; empty where it has only one.
    """

    name: str
    root: str
    split: str

    def scan(self, patterns: Sequence[str], on_progress: Progress | None = None) -> Contents:
        """Raises UserError: torchvision has no such data set or split, it is not there, or has no classes."""
        dataset = _opened(self)
        names = _class_names(self)
        identity = f"{self.name}/{self.split}/{len(dataset)}/{names}"
        digest = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
        return Contents((Shard(f"torchvision:{self.name}/{self.split}", len(dataset)),), (), names, digest)

    def read(self, shard: Shard, lo: int, hi: int) -> Iterator[RawSample]:
        dataset, names = _opened(self), _class_names(self)
        for number in range(lo, hi):
            try:
                picture, target = dataset[number]
                content, name = _png(picture), names[int(target)]
            except Exception:  # Pillow raises nearly every exception there is on a broken picture.
                content, name = b"", names[0]
            # Without content it cannot be decoded, and is told as one bad sample of many.
            yield RawSample(_key(number), content, [name], name)

    def keys(self, shard: Shard) -> list[str]:
        return [_key(number) for number in range(shard.samples)]


def _key(number: int) -> str:
    return f"{number:08d}"


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@functools.lru_cache(maxsize=4)
def _opened(source: TorchvisionSource) -> Any:
    kind = _kind(source.name)
    where = f"torchvision:{source.name}"
    options = _options(source, inspect.signature(kind.__init__).parameters, where)
    try:
        return kind(source.root, **options)
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"the data set is not in {source.root} ({str(error).splitlines()[0]})",
            where=where,
            mend="give the root that it was downloaded to; nothing is downloaded here",
        ) from error
    except (ValueError, TypeError) as error:
        raise UserError(
            f"it cannot be opened with split {source.split!r} ({str(error).splitlines()[0]})",
            where=where,
            mend="see torchvision's documentation for its splits",
        ) from error


def _options(source: TorchvisionSource, known: Collection[str], where: str) -> dict[str, Any]:
    """What the data set's constructor takes besides its root."""
    options: dict[str, Any] = {"download": False} if "download" in known else {}
    if "split" in known:
        # Left out, the data set's own default would be taken for what was asked.
        return {**options, "split": source.split}
    if "train" in known:
        if source.split not in ("train", "test"):
            raise UserError(f"it has no split {source.split!r}", where=where, mend="write /train or /test")
        return {**options, "train": source.split == "train"}
    if source.split:
        raise UserError(
            f"it has no splits, so no {source.split!r}", where=where, mend=f"write {where}?root={source.root}"
        )
    return options


def _kind(name: str) -> Any:
    """A data set's class. Raises UserError: torchvision has none of that name."""
    from torchvision import datasets

    names = sorted(
        known
        for known in datasets.__all__
        if "root" in inspect.signature(getattr(datasets, known)).parameters
    )
    if name in names:
        return getattr(datasets, name)
    near = difflib.get_close_matches(name, names, n=1)
    raise UserError(
        f"torchvision has no data set {name!r}",
        where=f"torchvision:{name}",
        mend=f"did you mean {near[0]}?"
        if near
        else "its names are those of torchvision.datasets, as CIFAR10",
    )


@functools.lru_cache(maxsize=4)
def _class_names(source: TorchvisionSource) -> tuple[str, ...]:
    """Names of the classes by number. Synonyms of ImageNet's classes repeat, its WordNet ids do not."""
    dataset = _opened(source)
    for attribute in ("wnids", "classes"):
        names = getattr(dataset, attribute, None)
        if names:
            return tuple(map(str, names))
    return tuple(map(str, range(_largest_target(source, dataset) + 1)))


def _largest_target(source: TorchvisionSource, dataset: Any) -> int:
    for attribute in ("targets", "labels", "_labels"):
        found = getattr(dataset, attribute, None)
        if found is not None and len(found):
            return max(int(target) for target in found)
    try:
        return max(int(dataset[number][1]) for number in range(len(dataset)))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            "the data set does not have one class a picture",
            where=f"torchvision:{source.name}",
            mend="choose one for classification, or write shards with a class field",
        ) from error
