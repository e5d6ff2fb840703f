"""What a machine is like, as far as training cares, from the standard library alone. No torch, no Ray."""

from __future__ import annotations

import ctypes
import platform
import re
import resource
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ray_compt.doctor.versions import code_digest, package_versions, torch_cuda

SHARED_MEMORY = Path("/dev/shm")
_DEVICE = re.compile(r"nvidia\d+")


@dataclass(frozen=True)
class NodeFacts:
    """One machine, or what a container shows of it.

    Attributes:
        host: its name.
        packages: versions by name, as `versions.package_versions` gives them.
        code: digest of ray_compt's modules.
        gpus: NVIDIA devices.
        torch_cuda, driver_cuda: the CUDA that torch was built for, and the newest that the driver knows, as "13.0".
        shared_memory: bytes that /dev/shm may hold; None without it.
        temp: the folder for temporary files.
        temp_bytes, temp_free: of its disk.
        open_files: how many files and connections a process may open.
    """

    host: str
    packages: dict[str, str]
    code: str
    gpus: int
    torch_cuda: str | None
    driver_cuda: str | None
    shared_memory: int | None
    temp: str
    temp_bytes: int
    temp_free: int
    open_files: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> NodeFacts:
        """Raises KeyError: another version of this class wrote it."""
        return cls(**{field.name: found[field.name] for field in fields(cls)})


def this_machine() -> NodeFacts:
    """What this process sees."""
    temp = tempfile.gettempdir()
    disk = shutil.disk_usage(temp)
    return NodeFacts(
        host=platform.node(),
        packages=package_versions(),
        code=code_digest(),
        gpus=sum(bool(_DEVICE.fullmatch(device.name)) for device in Path("/dev").iterdir()),
        torch_cuda=torch_cuda(),
        driver_cuda=driver_cuda(),
        shared_memory=shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.is_dir() else None,
        temp=temp,
        temp_bytes=disk.total,
        temp_free=disk.free,
        open_files=_open_files(),
    )


def driver_cuda() -> str | None:
    """The newest CUDA that NVIDIA's driver knows; None without a driver. No device is touched."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def _open_files() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
