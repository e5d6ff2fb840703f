"""Running a row in this process, as the program would run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from ray_compt.cli.main import app
from tests.bad_input.place import CLUSTER, Place
from tests.bad_input.row import Row


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        command: the command line as the documentation shows it.
        code: exit code.
        stdout, stderr: what it printed.
        message: stderr as the documentation shows it: no folder, address or number of this machine.
        lost: what was trained before and is gone or changed.
    """

    command: str
    code: int
    stdout: str
    stderr: str
    message: str
    lost: list[str]


@contextmanager
def running_ray() -> Iterator[str]:
    """The address of a small Ray on this machine; nothing of it is left afterwards."""
    from ray.cluster_utils import Cluster

    # Ray's sockets need a short path.
    folder = tempfile.mkdtemp(prefix="rc", dir="/tmp")
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 4, "num_gpus": 0, "include_dashboard": False, "temp_dir": folder},
    )
    try:
        yield cluster.address
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def run_row(row: Row, folder: Path, cluster: str | None = None) -> Outcome:
    """Make the mistake in `folder`, run the command, and compare what was trained before and after."""
    place = Place(folder)
    place.finish_a_stage()
    arguments = [str(argument) for argument in row.make(place)]
    before = _kept(place)
    sigterm = signal.getsignal(signal.SIGTERM)
    environment = {"XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "200", "RAY_ADDRESS": None}
    given = [cluster or CLUSTER if argument == CLUSTER else argument for argument in arguments]
    try:
        result = CliRunner().invoke(app, given, prog_name="compt", env=environment)
    finally:
        signal.signal(signal.SIGTERM, sigterm)  # `compt train` sets its own
    after = _kept(place)
    command = _shown(" ".join(map(_quoted, arguments)), folder, row, cluster)
    return Outcome(
        command=f"compt {command}",
        code=result.exit_code,
        stdout=result.stdout,
        stderr=result.stderr,
        message=_shown(result.stderr.rstrip("\n"), folder, row, cluster),
        lost=[name for name, content in before.items() if after.get(name) != content],
    )


def _kept(place: Place) -> dict[str, bytes]:
    """What may not change: the finished stage, all checkpoints, and the finished stage's line in the ledger."""
    files = [path for path in place.run.glob("0*/**/*") if path.is_file()]
    kept = {str(path.relative_to(place.run)): path.read_bytes() for path in files}
    ledger = place.run / "ledger.json"
    content = ledger.read_bytes() if ledger.is_file() else b""
    try:
        kept[ledger.name] = json.dumps(json.loads(content)["stages"][0]).encode()
    except (ValueError, LookupError, TypeError, RecursionError):
        kept[ledger.name] = content  # damaged by the row, and not to be repaired behind anyone's back
    return kept


def _quoted(argument: str) -> str:
    return f"'{argument}'" if re.search(r"[\s*?{}\[\]#!]", argument) or not argument else argument


def _shown(text: str, folder: Path, row: Row, cluster: str | None) -> str:
    text = text.replace(f"{folder}{os.sep}", "").replace(str(folder), ".")
    if cluster:
        text = text.replace(cluster, CLUSTER)
    for pattern, instead in row.varies.items():
        text = re.sub(pattern, instead, text)
    return text
