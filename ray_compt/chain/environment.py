"""What a run ran with, so that it can be repeated and its speed be judged: environment.json in the run folder.

    {"schema": 1, "starts": [START, ...]}

A start is written each time that a driver begins to train; its fields are those of `Start`. To record something
more, add a field there and fill it in `this_start`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from ray_compt.doctor.versions import package_versions
from ray_compt.report.published import without_credentials
from ray_compt.storage import Place
from ray_compt.train.disk import explained

FILE = "environment.json"
SCHEMA = 1
MOST = 100
GIT_S = 5.0
_ACCELERATOR = "accelerator_type:"


@dataclass(frozen=True)
class Start:
    """One start of a driver.

    Attributes:
        time: ISO 8601, UTC.
        command: the command line, URLs without credentials; None where Python called.
        packages: versions by name; ray_compt and Python among them.
        commit: of the checkout that ray_compt runs from, "+" after it where files differ; None outside of one.
        system: kernel and architecture.
        cpu, cpus, memory_gb: of the driver's machine; memory in 10^9 bytes.
        nodes: of the Ray cluster, each with its GPUs and their kind.
    """

    time: str
    command: str | None
    packages: dict[str, str]
    commit: str | None
    system: str
    cpu: str
    cpus: int
    memory_gb: float
    nodes: list[dict[str, Any]]


def record_start(run: Place, command: Sequence[str] | None) -> None:
    """Append this start to the run's environment.json, of which the last `MOST` starts are kept.

    Args:
        run: the run folder.
        command: program and arguments.

    Raises:
        TrainingError: there is no room to write.
    """
    import ray

    start = this_start(command, ray.nodes())
    starts = [*read_starts(run), asdict(start)][-MOST:]
    with explained(str(run / FILE)):
        (run / FILE).write_text(json.dumps({"schema": SCHEMA, "starts": starts}, indent=1))


def read_starts(run: Place) -> list[dict[str, Any]]:
    """The starts on record, oldest first; none where the file is absent or cannot be understood."""
    try:
        stored = json.loads((run / FILE).read_text())
    except (FileNotFoundError, ValueError, RecursionError):
        return []
    starts = stored.get("starts") if isinstance(stored, dict) else None
    return [start for start in starts if isinstance(start, dict)] if isinstance(starts, list) else []


def this_start(command: Sequence[str] | None, nodes: Sequence[Mapping[str, Any]]) -> Start:
    """What this process runs with.

    Args:
        command: program and arguments.
        nodes: as `ray.nodes()` gives them.
    """
    return Start(
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=None if command is None else command_line(command),
        packages=package_versions(),
        commit=_commit(Path(__file__).parent),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=_cpu_name(),
        cpus=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        nodes=[_node(node["Resources"]) for node in nodes if node["Alive"]],
    )


def command_line(command: Sequence[str]) -> str:
    """A command as a shell takes it, without the credentials of its URLs."""
    import shlex

    return shlex.join(map(without_credentials, command))


def _commit(folder: Path) -> str | None:
    """The commit of the git checkout that holds `folder` and knows its files."""
    if not any((above / ".git").exists() for above in folder.parents):
        return None
    head = _git(folder, "rev-parse", "HEAD")
    # An environment inside another project's checkout holds files that are not that project's.
    known = head and _git(folder, "ls-files", "--error-unmatch", Path(__file__).name)
    if not known:
        return None
    return f"{head}+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else head


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where there is no git, or it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=GIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _node(resources: Mapping[str, float]) -> dict[str, Any]:
    kinds = [name.removeprefix(_ACCELERATOR) for name in resources if name.startswith(_ACCELERATOR)]
    return {"gpus": resources.get("GPU", 0), "accelerator": kinds[0] if kinds else None}
