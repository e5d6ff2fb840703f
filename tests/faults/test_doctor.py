"""A node that does not see what the head sees: found before anything is trained, and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.faults.chain import states
from tests.faults.harness import SmallCluster, small_cluster, wait_for
from tests.integration.harness import command, descendants, end, environment, tiny_chain, tiny_model
from tests.shards import make_shards

OTHER = "0.1.2"


def test_a_node_that_lacks_what_the_head_has_is_found_and_named(tmp_path: Path) -> None:
    _need_namespaces()
    data, runs = tmp_path / "data", tmp_path / "runs"
    make_shards(data, 2, per_shard=64, size=8)
    runs.mkdir()
    chain = tiny_chain(
        tmp_path,
        stages=[{"model": tiny_model(16), "epochs": 1}],
        data={"train": str(data / "*.tar"), "val": None},
        workers={"min": 1, "max": 2, "cpus": 1},
    )
    asked = ("doctor", chain, "--run-dir", runs / "x")
    with small_cluster(2, 1) as cluster:
        code, well = _doctor(cluster, *asked)
        assert code == 0, well
        looked_at = {one["name"]: one["state"] for one in well["findings"]}
        assert {"nodes", "workers", "data.train", "run folder", "versions", "clocks", "token"} <= set(
            looked_at
        )
        assert looked_at["run folder"] == "ok" and "the same on 2 nodes" in str(well)

        covers = {data: _empty(tmp_path / "no data"), runs: _empty(tmp_path / "no runs")}
        covers |= _other_deepspeed(tmp_path)
        with _blind_node(cluster, covers):
            wait_for("the third node", lambda: len(_doctor(cluster, "doctor")[1]["nodes"]) == 3, every=1)
            code, found = _doctor(cluster, *asked)
            assert code == 1
            (blind,) = set(found["nodes"]) - set(well["nodes"])
            bad = [one for one in found["findings"] if one["state"] == "wrong"]
            assert [(one["name"], one["nodes"]) for one in bad] == [
                ("data.train", [blind]),
                ("run folder", [blind]),
                ("versions", [blind]),
            ]
            train, run, versions = bad
            assert train["found"] == f"{data / '00000.tar'} is not there, and 1 more like it"
            assert run["found"] == f"{runs} is another folder than the driver's"
            assert versions["found"] == f"deepspeed {OTHER} instead of {metadata.version('deepspeed')}"
            assert os.listdir(runs) == os.listdir(tmp_path / "no runs") == []

            driver = cluster.train(chain, runs / "x")
            output = driver.finish(code=2)
            assert f"error: {blind}: data.train: {data / '00000.tar'} is not there" in output
            assert "2 more are wrong" in output
            assert states(runs / "x") == ["pending"]
            assert not [name for name in os.listdir(runs / "x") if name.startswith(".")]


def _doctor(cluster: SmallCluster, *arguments: Any) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        command(*arguments, "--address", cluster.cluster.address, "--json"),
        env=environment(cluster.folder),
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.stderr == "", done.stderr
    return done.returncode, json.loads(done.stdout)


@contextmanager
def _blind_node(cluster: SmallCluster, covers: Mapping[Path, Path]) -> Iterator[None]:
    """A node with a mount namespace of its own, in which some paths are covered by others."""
    mounts = " && ".join(f'mount --bind "{cover}" "{path}"' for path, cover in covers.items())
    start = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1")
    more = (f"--address={cluster.cluster.address}", f"--object-store-memory={200 << 20}")
    log = Path(cluster.folder) / "blind.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh", *start, *more],
            env=environment(cluster.folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        left = descendants(process.pid)
        process.kill()
        process.wait()
        end(left)


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _other_deepspeed(folder: Path) -> dict[Path, Path]:
    """The file that says which DeepSpeed is installed, and one that says another."""
    files = metadata.distribution("deepspeed").files or []
    (file,) = (Path(str(one.locate())) for one in files if one.match("*.dist-info/METADATA"))
    text = file.read_text().replace(f"Version: {metadata.version('deepspeed')}", f"Version: {OTHER}", 1)
    other = folder / "METADATA"
    other.write_text(text)
    return {file: other}


def _need_namespaces() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no mount namespace of its own for a node: {tried.stderr.strip()}")
