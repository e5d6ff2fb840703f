"""cluster/slurm.sbatch: sound shell, options that Ray and `compt train` take, and a run that saves before its end.

Slurm's programs and Ray are played by scripts that write down how they were called.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.compt import check_command
from tests.cluster.files import CLUSTER, program

SCRIPT = CLUSTER / "slurm.sbatch"
TIMEOUT_S = 60

# What each program does after it has written down its arguments and RAY_AUTH_MODE.
PLAYED = {
    "scontrol": '[ "$1" != show ] || printf "node-1\\nnode-2\\n"',
    "srun": 'while [ "$1" != ray ]; do shift; done; exec "$@"',
    "ray": 'while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done; [ $# -eq 0 ] || { shift; exec "$@"; }',
}


class Job:
    """A home directory with the programs, and what they were called with."""

    def __init__(self, home: Path, compt: str):
        self.home = home
        folder = home / "compt" / "venv" / "bin"
        folder.mkdir(parents=True)
        for name, does in {**PLAYED, "compt": compt}.items():
            note = (
                f"{sys.executable} -c 'import json, os, sys; "
                'print(json.dumps([sys.argv[1:], os.environ.get("RAY_AUTH_MODE")]))\''
            )
            text = f'#!/bin/sh\n{note} {name} "$@" >>"{home}/calls"\n{does}\n'
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        slurm = {"SLURM_JOB_ID": "12345", "SLURM_JOB_NODELIST": "node-[1-2]", "SLURM_JOB_NUM_NODES": "2"}
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        self.environment = {"HOME": str(home), "PATH": path, "SLURM_CPUS_PER_TASK": "96", **slurm}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", SCRIPT, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def calls(self, program: str) -> list[list[str]]:
        lines = (self.home / "calls").read_text().splitlines()
        return [call[1:] for call, _ in map(json.loads, lines) if call[0] == program]

    def modes(self) -> set[str | None]:
        return {json.loads(line)[1] for line in (self.home / "calls").read_text().splitlines()}


def test_bash_reads_it():
    subprocess.run(["bash", "-n", SCRIPT], check=True, timeout=TIMEOUT_S)


@pytest.mark.skipif(program("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    done = subprocess.run([program("shellcheck"), SCRIPT], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout


def test_what_it_starts_are_commands_that_ray_and_compt_take(tmp_path: Path):
    from ray.scripts.scripts import start
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args, symmetric_run

    job = Job(tmp_path, compt="exit 0")
    settings = ["--set", "data.train=/shared/cc 3m/{00000..00331}.tar"]
    out, errors = job.start("vit_4", *settings).communicate(timeout=TIMEOUT_S)
    assert (out, errors) == ("", "")
    token, run = job.calls("ray")
    assert token == ["get-auth-token", "--generate"]
    assert run[0] == "symmetric-run"
    for_ray, entrypoint = run[1 : run.index("--")], run[run.index("--") + 1 :]
    context = symmetric_run.make_context("symmetric-run", [*for_ray, "--", *entrypoint])
    assert context.params["address"] == "node-1:22345"
    assert context.params["min_nodes"] == 2
    # On the nodes but the first, `ray start` refuses what is for a head only.
    started = start.make_context("start", curate_and_validate_ray_start_args(for_ray)).params
    assert started["num_cpus"] == 96
    assert (started["port"], started["include_dashboard"]) == (None, None)
    assert started["dashboard_host"] == "127.0.0.1"
    (trained,) = job.calls("compt")
    run_dir = ["--run-dir", str(tmp_path / "compt" / "runs" / "vit_4")]
    assert trained == ["train", "vit_4", *settings, "--address", "node-1:22345", *run_dir]
    check_command(trained)
    assert job.modes() - {None} == {"token"}
    assert not list((tmp_path / "compt" / "runs").iterdir())


def test_a_failure_is_the_jobs(tmp_path: Path):
    job = Job(tmp_path, compt="exit 7")
    started = job.start("digits")
    started.communicate(timeout=TIMEOUT_S)
    assert started.returncode == 7
    assert not [call for call in job.calls("scontrol") if call[0] == "requeue"]


def test_where_ray_does_not_start_the_job_fails(tmp_path: Path):
    """`ray symmetric-run` says why, and ends with 0."""
    job = Job(tmp_path, compt="exit 0")
    (tmp_path / "compt" / "venv" / "bin" / "ray").write_text("#!/bin/sh\nexit 0\n")
    started = job.start("digits")
    _, errors = started.communicate(timeout=TIMEOUT_S)
    assert started.returncode == 1
    assert "Ray did not start" in errors


def test_without_a_chain_it_says_how_it_is_called(tmp_path: Path):
    started = Job(tmp_path, compt="exit 0").start()
    _, errors = started.communicate(timeout=TIMEOUT_S)
    assert started.returncode == 2
    assert "usage: sbatch cluster/slurm.sbatch FILE" in errors


def test_before_the_time_is_up_the_driver_saves_and_the_job_queues_again(tmp_path: Path):
    saved = tmp_path / "saved"
    # Every process of it ends with the driver, so that none outlives the test.
    job = Job(
        tmp_path,
        compt=f"trap 'touch {saved}; exit 143' TERM; touch {tmp_path}/up; while :; do sleep 0.1; done",
    )
    started = job.start("digits")
    deadline = time.monotonic() + TIMEOUT_S
    while not (tmp_path / "up").exists():
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.05)
    started.send_signal(signal.SIGUSR1)
    _, errors = started.communicate(timeout=TIMEOUT_S)
    assert (started.returncode, errors) == (0, "")
    assert saved.exists()
    assert job.calls("scontrol")[-1] == ["requeue", "12345"]


def test_the_notice_goes_to_the_script_and_is_the_one_that_it_traps():
    text = SCRIPT.read_text(encoding="utf-8")
    (notice,) = re.findall(r"^#SBATCH --signal=B:(\w+)@\d+", text, flags=re.MULTILINE)
    assert re.search(rf"^trap leave .*\b{notice}\b", text, flags=re.MULTILINE)
