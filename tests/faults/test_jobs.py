"""Chains and sweeps as Ray jobs: on a head with a dashboard and a token, and a second node. One cluster for all."""

from __future__ import annotations

import json
import signal
import sysconfig
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import ray_compt
from ray_compt.storage import JsonLines, open_place
from tests.faults.chain import FIRST, STEPS, Undisturbed, write_chain
from tests.integration.harness import ledger, tiny_chain, tiny_model
from tests.integration.head import Head, running_head, wait

pytestmark = pytest.mark.timeout(1800)
ELSEWHERE = {"elsewhere": 1.0}


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with running_head(10) as found:
        found.add(4, **ELSEWHERE)
        yield found


def _tiny(folder: Path, name: str = "tiny", **sections: Any) -> Path:
    stages = [
        {"model": tiny_model(16), "epochs": 0.5, "name": "small"},
        {
            "model": tiny_model(32),
            "epochs": 0.5,
            "name": "grown",
            "distill": {"weight": 1.0},
            "teacher": {"placement": "actor", "cpus": 0.5},
        },
    ]
    return tiny_chain(folder, name=name, stages=stages, **sections)


def _submitted(head: Head, *words: str | Path, cwd: Path | None = None) -> CompletedProcess[str]:
    return head.run("ray", "job", "submit", *words, cwd=cwd)


def _name(done: CompletedProcess[str]) -> str:
    """The id of a job in what `ray job submit` printed."""
    return next(word for word in done.stdout.replace("'", " ").split() if word.startswith("raysubmit_"))


def _starts(run: Path, stage: str) -> list[int]:
    events = JsonLines(open_place(run / stage), "events.jsonl").read()
    return [event["step"] for event in events if event["event"] == "started"]


def test_a_chain_without_a_working_directory(head: Head, tmp_path: Path) -> None:
    """Its lines are plain, and its run folder lies where the head was started."""
    done = _submitted(head, "--", "compt", "train", _tiny(tmp_path, "bare"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [entry["state"] for entry in ledger(head.start / "runs" / "bare")["stages"]] == ["done"] * 2
    lines = [line for line in done.stdout.splitlines() if "stage 2/2 grown" in line]
    assert len(lines) == 1
    assert "\r" not in done.stdout and "Traceback" not in done.stdout
    found = head.status(_name(done))
    assert (found["status"], found["exit_code"]) == ("SUCCEEDED", 0)
    assert found["status_of_run"]["run"] == str(head.start / "runs" / "bare")


def test_a_sweep_with_a_working_directory_and_a_runtime_environment(head: Head, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    stages = [{"model": tiny_model(16), "epochs": 0.5, "name": "a"}]
    tiny_chain(work, name="base", stages=stages)
    space, objective = {"stages.a.epochs": {"choice": [0.3, 0.5]}}, {"metric": "zero_shot_top1"}
    sweep = {"name": "search", "chain": "base.yaml", "space": space, "objective": objective}
    (work / "search.yaml").write_text(json.dumps(sweep))
    run = tmp_path / "run"
    done = _submitted(
        head,
        *("--working-dir", work, "--runtime-env-json", json.dumps({"env_vars": {"OMP_NUM_THREADS": "1"}})),
        *("--", "compt", "tune", "search.yaml", "--run-dir", run),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [trial["state"] for trial in json.loads((run / "sweep.json").read_text())["trials"]] == [
        "done"
    ] * 2
    assert "removes" not in done.stdout
    found = head.status(run)
    assert found["sweep"]["ended"] is not None and found["running"] == {}


def test_a_run_folder_in_the_working_directory_is_warned_of(head: Head, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    _tiny(work)
    done = _submitted(head, "--working-dir", work, "--", "compt", "train", "tiny.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning: runs/tiny lies in the job's working directory" in done.stdout


def test_a_mistake_fails_the_job_with_its_exit_code(head: Head, tmp_path: Path) -> None:
    done = head.compt("submit", _tiny(tmp_path), "--run-dir", tmp_path / "run", "--", "--mistake")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "--mistake" in done.stdout and "failed with exit code 2" in done.stderr
    found = head.status(done.stdout.split()[1])
    assert (found["status"], found["exit_code"], found["status_of_run"]) == ("FAILED", 2, None)


@pytest.mark.parametrize("way", ["ray", "compt"])
def test_a_stopped_job_has_saved_and_another_goes_on(
    head: Head, tmp_path: Path, undisturbed: Undisturbed, way: str
) -> None:
    run, options = tmp_path / "run", ("--run-dir", tmp_path / "run")
    # No periodic checkpoint helps.
    chain = write_chain(tmp_path, workers={"max": 1}, train={"checkpoint_every": 10_000})
    if way == "ray":
        done = _submitted(head, "--no-wait", "--", "compt", "train", chain, *options)
        job = _name(done)
    else:
        done = head.compt("submit", chain, *options, "--detach")
        job = done.stdout.split()[1]
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = run / FIRST / "metrics.jsonl"
    wait("steps", lambda: metrics.exists() and metrics.read_text().count('"loss"') > 5)
    stages = wait("a running stage", lambda: head.status(run)["stages"])
    assert (stages[0]["state"], stages[0]["workers"], stages[0]["steps"]) == ("running", 1, STEPS[FIRST])
    stopped = head.run("ray", "job", "stop", job)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    found = head.status(job)
    assert (found["status"], found["status_of_run"]["state"]) == ("STOPPED", "stopped")
    assert any("the same command goes on from the last checkpoint" in line for line in found["lines"])
    again = head.compt("submit", chain, *options, cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    first, second = _starts(run, FIRST)
    assert first == 0 < second
    undisturbed.assert_same(run)


def test_two_jobs_at_once_share_a_teacher_and_nothing_else(head: Head, tmp_path: Path) -> None:
    """Both train the same chain: their teachers are equal, and so is everything that could be confused."""
    chain = write_chain(tmp_path, workers={"max": 1})
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(head.compt, "submit", chain, "--run-dir", tmp_path / name) for name in ("one", "two")
        ]
        wait("the first run", lambda: (tmp_path / "one" / "driver.json").exists())
        third = head.compt("submit", chain, "--run-dir", tmp_path / "one")
        first, second = (one.result() for one in asked)
    for done in (first, second):
        assert done.returncode == 0, done.stdout + done.stderr
    assert third.returncode == 2 and "another driver trains here" in third.stdout, third.stdout
    for name in ("one", "two"):
        assert head.compt("verify", tmp_path / name).returncode == 0
    teachers = [ledger(tmp_path / name)["stages"][1]["teacher"] for name in ("one", "two")]
    assert teachers == ["actor", "actor"]


def test_the_driver_may_run_on_a_worker_node(head: Head, tmp_path: Path) -> None:
    done = _submitted(
        head,
        *("--entrypoint-resources", json.dumps(ELSEWHERE)),
        *("--", "compt", "train", _tiny(tmp_path), "--run-dir", tmp_path / "run"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stage 2/2 grown" in done.stdout
    nodes = head.run("ray", "list", "nodes", "--format", "json", "--address", head.dashboard)
    assert nodes.returncode == 0, nodes.stderr
    (worker,) = (node["node_id"] for node in json.loads(nodes.stdout) if not node["is_head_node"])
    assert head.status(_name(done))["node"] == worker


def test_ctrl_c_leaves_the_job_alone(head: Head, tmp_path: Path) -> None:
    log, run = tmp_path / "log", tmp_path / "run"
    chain = write_chain(tmp_path, stages=1, workers={"max": 1})
    following = head.popen("submit", chain, "--run-dir", run, log=log)
    wait("the job's lines", lambda: "stage 1/1 small" in log.read_text() or following.poll() is not None)
    following.send_signal(signal.SIGINT)
    assert following.wait(60) == 130, log.read_text()
    text = log.read_text()
    job = text.split()[1]
    assert "detached; the job goes on" in text and f"compt status {job} --address {head.dashboard}" in text
    assert "Traceback" not in text
    wait("its end", lambda: head.status(job)["status"] == "SUCCEEDED")
    assert ledger(run)["stages"][0]["state"] == "done"


def test_a_node_installs_the_package_by_pip(tmp_path: Path) -> None:
    """On nodes whose Python sees all that we need, but for ray_compt: pip finds the rest there, and asks nobody."""
    venv.create(tmp_path / "venv", with_pip=True)
    theirs = sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")})
    Path(theirs, "ours.pth").write_text(sysconfig.get_path("purelib"))
    run = tmp_path / "run"
    with running_head(6, python=str(tmp_path / "venv" / "bin" / "python")) as head:
        head.variables["PYTHONPATH"] = str(Path(ray_compt.__file__).parents[1])
        done = head.compt("submit", _tiny(tmp_path), "--package", "pip", "--run-dir", run)
    assert done.returncode == 0, done.stdout + done.stderr
    (start,) = json.loads((run / "environment.json").read_text())["starts"]
    assert start["packages"]["ray_compt"] == ray_compt.__version__ and start["commit"] is None
