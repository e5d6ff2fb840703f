"""Data that is named by a prefix and not by shards: `builtin:`, `folder:` and `torchvision:`.

A further kind is a source (see `source.py`) and a line in `_KINDS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

from ray_compt.data.digits import digits_source
from ray_compt.data.folder import FolderSource
from ray_compt.data.source import Source
from ray_compt.data.torchvision_source import TorchvisionSource
from ray_compt.errors import UserError
from ray_compt.storage import is_url


def named_source(spec: str | Sequence[str]) -> Source | None:
    """The source that `spec` names; None where it is a path, a pattern or a URL of shards. Nothing is looked up yet.

    Raises:
        UserError: a name of one of these kinds that says nothing, or named data in a list.
    """
    names = [spec] if isinstance(spec, str) else list(spec)
    named = [name for name in names if name.startswith(tuple(_KINDS))]
    if not named:
        return None
    if len(names) > 1:
        raise UserError(
            f"{named[0]!r} is in a list with other data", where="data", mend="write it alone, or shards alone"
        )
    return _KINDS[named[0].partition(":")[0] + ":"](named[0])


def _folder(spec: str) -> Source:
    root = spec.removeprefix("folder:")
    if not root:
        raise UserError("names no folder", where=spec, mend="write folder:PATH, with a folder a class in it")
    return FolderSource(_everywhere(root))


def _torchvision(spec: str) -> Source:
    name, _, options = spec.removeprefix("torchvision:").partition("?")
    name, _, split = name.partition("/")
    given = parse_qs(options)
    if not name or set(given) != {"root"}:
        raise UserError(
            "does not say which data set, and where it lies",
            where=spec,
            mend="write torchvision:NAME/SPLIT?root=FOLDER, as torchvision:CIFAR10/test?root=/data/cifar",
        )
    return TorchvisionSource(name, _everywhere(given["root"][0]), split)


def _everywhere(path: str) -> str:
    # Reading tasks have other working directories.
    return path if is_url(path) else os.path.abspath(path.removeprefix("file://"))


_KINDS: dict[str, Callable[[str], Source]] = {
    "builtin:": digits_source,
    "folder:": _folder,
    "torchvision:": _torchvision,
}
