"""What a driver knows of the Ray job that it runs in; the supervisor itself: tests/faults/test_jobs.py."""

from __future__ import annotations

import json

import pytest

from ray_compt.train.ray_job import STOP_WAIT_S, ask_for_time, is_passing, job_id

CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@pytest.mark.parametrize(
    "config, job",
    [
        (json.dumps({"metadata": {"job_submission_id": "raysubmit_1"}, "runtime_env": {}}), "raysubmit_1"),
        (json.dumps({"metadata": {}}), None),
        (json.dumps({"metadata": {"job_submission_id": 3}}), None),
        ("[]", None),
        ("{", None),
        ("", None),
    ],
)
def test_the_job_is_named_in_the_environment(config: str, job: str | None) -> None:
    assert job_id({CONFIG: config}) == job


def test_outside_of_a_job_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG, raising=False)
    assert job_id() is None and ask_for_time()


def test_the_folder_of_a_job_passes() -> None:
    assert is_passing("/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_1/runs/digits")
    assert not is_passing("/home/a/working_dir_files_of_mine/runs")
    assert not is_passing("s3://bucket/runs/digits")


def test_the_supervisor_waits_longer_than_a_stop() -> None:
    from ray_compt.sweep.running.driver import STOP_S as SWEEP
    from ray_compt.train.stage import STOP_S as STAGE

    assert max(SWEEP, STAGE) < STOP_WAIT_S
