"""`compt submit` and `compt status` as far as they go without a cluster; with one: tests/integration/test_jobs.py."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import Result

from ray_compt.chain.folder import open_run
from ray_compt.cli.submit import _closing
from ray_compt.config.load import make_chain
from tests.cli.small import small_chain

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose first stage is done."""
    with open_run(str(tmp_path / "run"), make_chain(small_chain(), (), "here")) as (_, ledger):
        ledger.training_samples = 1000
        ledger.update(ledger.stages[0], state="done", steps=248, seconds=10.0)
    return tmp_path / "run"


def test_status_of_a_run_is_a_table_and_its_json_a_record(compt: Run, run: Path) -> None:
    shown = compt("status", run)
    assert (shown.exit_code, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("chain tiny: stopped, stage 2/2 large, step 0/62: nobody trains it")
    assert [line.split()[:3] for line in lines[2:4]] == [
        ["01-small", "done", "248/248"],
        ["02-large", "pending", "0/62"],
    ]
    record = json.loads(compt("status", run, "--json").stdout)
    assert (record["state"], record["current"], record["stages"][1]["steps"]) == ("stopped", 1, 62)


@pytest.mark.parametrize("command", [["submit", "digits"], ["status", "raysubmit_1"]])
def test_nobody_at_the_address_is_one_message(compt: Run, command: list[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = compt(*command, "--address", address)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"error: address {address}: no job server answers" in result.stderr
    assert "ray start --head" in result.stderr


@pytest.mark.parametrize("address", ["nowhere", "http://", "a:b", "http://a:99999"])
def test_what_is_no_address_is_said(compt: Run, address: str) -> None:
    result = compt("submit", "digits", "--address", address)
    assert (result.exit_code, "is no address" in result.stderr) == (2, True)


def test_mistakes_are_found_before_anything_is_sent(compt: Run, tmp_path: Path) -> None:
    for words, says in (
        (["nothing"], "no such chain file"),
        (["digits", "--set", "train.lrr=3"], "did you mean lr?"),
        (["digits", "--set", "data.train=shards/*.tar"], "is relative"),
        (["digits", "--env", "NOT_SET_HERE"], "is not set here"),
        (["digits", "--package", "conda"], "--package"),
    ):
        result = compt("submit", *words, "--address", "http://127.0.0.1:1")
        assert (result.exit_code, result.stdout) == (2, "")
        assert says in result.stderr and "no job server" not in result.stderr


@pytest.mark.parametrize(
    "status, code, message, exit_code, says",
    [
        ("SUCCEEDED", 0, "fine", 0, ""),
        ("STOPPED", None, "by the user", 143, "was stopped; the same command goes on"),
        ("FAILED", 2, "tail of the log", 2, "failed with exit code 2"),
        ("FAILED", None, "no room for the environment", 1, "no room for the environment"),
    ],
)
def test_the_end_of_a_job_becomes_an_exit_code(
    capsys: pytest.CaptureFixture[str], status: str, code: int | None, message: str, exit_code: int, says: str
) -> None:
    info = SimpleNamespace(status=status, driver_exit_code=code, message=message)
    assert _closing("j", info) == exit_code
    assert says in capsys.readouterr().err
