"""`compt doctor` of this machine alone: the table, the JSON and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ray_compt.cli.doctor import _lines, verdict
from ray_compt.doctor.examine import Examination
from ray_compt.doctor.finding import Finding

WELL = Finding("nodes", "ok", "3 nodes")
LOST = Finding("run folder", "wrong", "/runs is not there", "mount it", ("10.0.0.3",))
SMALL = Finding("shared memory", "warn", "/dev/shm holds 64 MB", "--shm-size", ("10.0.0.3", "10.0.0.4"))


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_a_chain_that_can_run_here_is_well(compt, chain, chain_file, tmp_path: Path):
    result = compt("doctor", chain_file(chain), "--run-dir", tmp_path / "runs" / "x", "--json")
    found = json.loads(result.stdout)
    states = {finding["name"]: finding["state"] for finding in found["findings"]}
    assert (found["chain"], len(found["nodes"])) == ("tiny", 1)
    for name in ("nodes", "workers", "data.train", "run folder", "versions", "disk"):
        assert states[name] == "ok", result.stdout
    assert result.exit_code == (0 if found["ok"] else 1)
    assert not (tmp_path / "runs").exists()


def test_shards_that_are_missing_are_wrong_and_named(compt, chain, chain_file, tmp_path: Path):
    chain["data"]["train"] = str(tmp_path / "{000..002}.tar")
    result = compt("doctor", chain_file(chain), "--run-dir", tmp_path / "run")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    (wrong,) = [number for number, line in enumerate(lines) if line.startswith("wrong  data.train")]
    assert "none of the 3 shards" in lines[wrong]
    assert lines[wrong + 1].split()[0] == "mend:"
    assert lines[-1].startswith("not well: 1 wrong")


def test_without_a_file_only_the_machine_is_looked_at(compt):
    result = compt("doctor", "--json")
    names = [finding["name"] for finding in json.loads(result.stdout)["findings"]]
    assert "versions" in names and "open files" in names
    assert not {"data.train", "run folder", "workers", "disk"} & set(names)


def test_a_run_folder_alone_is_looked_at(compt, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    result = compt("doctor", "--run-dir", tmp_path / "file" / "run", "--json")
    states = {one["name"]: one["state"] for one in json.loads(result.stdout)["findings"]}
    assert (result.exit_code, states["run folder"]) == (1, "wrong")


def test_a_mend_stands_below_what_it_mends():
    assert _lines((WELL, LOST)) == [
        "state  check       found",
        "ok     nodes       3 nodes",
        "wrong  run folder  10.0.0.3: /runs is not there",
        "                   mend: mount it",
    ]


@pytest.mark.parametrize(
    "findings, says",
    [
        ((WELL,), "well: chain x can run here"),
        ((WELL, SMALL), "well, 1 to think about: chain x can run here"),
        ((WELL, LOST, SMALL), "not well: 1 wrong, 1 to think about; chain x would not run here as it should"),
    ],
)
def test_the_last_line_sums_up(findings: tuple[Finding, ...], says: str):
    assert verdict("x", Examination((), findings)) == says
