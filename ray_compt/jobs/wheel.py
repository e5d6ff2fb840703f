"""The files of the ray_compt that runs, and a wheel of them: from its source tree, or from what is installed."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath

import ray_compt
from ray_compt.errors import UserError

PACKAGE = "ray_compt/"
BUILD_S = 300
# What installers add to a wheel's own files; its list of them is written anew.
_INSTALLERS = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json"}
# The earliest that a zip file knows: equal files make an equal wheel, which the cluster has already.
_TIME = (1980, 1, 1, 0, 0, 0)


def own_files() -> dict[str, bytes]:
    """Contents of a wheel of this package, by path, without its RECORD.

    Raises:
        UserError: it is neither a source tree with hatchling beside it nor an installed package.
    """
    package = Path(ray_compt.__file__).resolve().parent
    if (package.parent / "pyproject.toml").is_file():
        return _built(package.parent)
    try:
        files = _installed(metadata.distribution("ray_compt"))
    except metadata.PackageNotFoundError:
        files = {}
    if not any(name.endswith(".dist-info/WHEEL") for name in files) or f"{PACKAGE}__init__.py" not in files:
        raise UserError(
            "this ray_compt was not installed as a package, so that it cannot be sent along",
            where=str(package),
            mend="install it with pip, or give --package none where the cluster has it",
        )
    return files


def make_wheel(files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Name and content of a wheel, whose version says which files it holds.

    pip leaves an installed package alone that has the same version, whatever its files are.

    Args:
        files: contents by path, those of one `.dist-info` folder among them.
    """
    info = next(name.partition("/")[0] for name in files if name.endswith(".dist-info/METADATA"))
    version = f"{info.removesuffix('.dist-info').partition('-')[2]}+{_identity(files)}"
    marked = f"ray_compt-{version}.dist-info"
    found = {re.sub(f"^{re.escape(info)}/", f"{marked}/", name): content for name, content in files.items()}
    text = found[f"{marked}/METADATA"].decode()
    found[f"{marked}/METADATA"] = re.sub(r"(?m)^Version: .*$", f"Version: {version}", text, count=1).encode()
    lines = [f"{name},sha256={_digest(found[name])},{len(found[name])}" for name in sorted(found)]
    record = "\n".join([*lines, f"{marked}/RECORD,,", ""]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in [*sorted(found.items()), (f"{marked}/RECORD", record)]:
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            wheel.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return f"ray_compt-{version}-py3-none-any.whl", buffer.getvalue()


def _built(source: Path) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="compt") as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        try:
            done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=BUILD_S)
            reason = done.stderr
        except subprocess.TimeoutExpired:
            reason = f"nothing after {BUILD_S} s"
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            last = ([line for line in reason.splitlines() if line.strip()] or ["it says nothing"])[-1]
            raise UserError(
                f"no wheel can be built ({last})",
                where=str(source),
                mend="`pip install hatchling`, or give --package none where the cluster has ray_compt",
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            names = [name for name in wheel.namelist() if not name.endswith(("/RECORD", "/"))]
            return {name: wheel.read(name) for name in names}


def _installed(distribution: metadata.Distribution) -> dict[str, bytes]:
    found = {}
    for path in distribution.files or ():
        name = PurePosixPath(path)
        outside = ".." in name.parts or name.is_absolute()
        file = Path(str(distribution.locate_file(path)))
        if not outside and name.suffix != ".pyc" and name.name not in _INSTALLERS and file.is_file():
            found[name.as_posix()] = file.read_bytes()
    return found


def _identity(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
