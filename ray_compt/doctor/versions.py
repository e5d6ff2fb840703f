"""Which versions a Python environment has, without importing what they are of."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import platform
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from ray_compt import __version__

PACKAGES = ("torch", "torchvision", "ray", "deepspeed", "open_clip_torch", "timm", "numpy")
_CUDA = re.compile(r"^cuda\b[^=\n]*=\s*(.+)$", re.MULTILINE)


def package_versions() -> dict[str, str]:
    """Versions by name: ours, Python's, and those of the packages that training rests on."""
    found = {"ray_compt": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_digest() -> str:
    """Of ray_compt's own modules, hexadecimal: two checkouts of one version may differ."""
    root = Path(__file__).parents[1]
    return source_digest(root, root.rglob("*.py"), 8)


def source_digest(root: Path, files: Iterable[Path], size: int) -> str:
    """Of source files and their places below `root`: blake2b of `size` bytes in hexadecimal."""
    digest = hashlib.blake2b(digest_size=size)
    for file in sorted(files):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def torch_cuda() -> str | None:
    """The CUDA that torch was built for, as "13.0"; None: built for CPUs, or not there."""
    found = importlib.util.find_spec("torch")
    file = Path(found.origin).with_name("version.py") if found and found.origin else None
    return cuda_of(file.read_text(encoding="utf-8")) if file and file.is_file() else None


def cuda_of(source: str) -> str | None:
    """What torch's version.py sets `cuda` to."""
    line = _CUDA.search(source)
    return ast.literal_eval(line[1]) if line else None
