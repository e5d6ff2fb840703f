"""`compt verify`: its exit codes, its words, and what it loads. The checks themselves: tests/chain/test_verify.py."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.chain.fabricate import SMALL, SMALL_STEPS, make_run
from tests.cli.test_main import _loaded_by


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made"))


@pytest.fixture
def run(made_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_once, tmp_path / "run"))


def test_a_run_that_is_well_exits_with_0_and_says_what_was_checked(
    compt: Callable[..., Result], run: Path
) -> None:
    result = compt("verify", run)
    assert (result.exit_code, result.stderr) == (0, "")
    table, verdict = result.stdout.splitlines()[:-1], result.stdout.splitlines()[-1]
    assert any(f"{SMALL_STEPS}/{SMALL_STEPS}" in line and "2/2 intact" in line for line in table)
    assert verdict.startswith("well so far (1 of 2 stages not done): ")


def test_a_run_that_is_not_well_exits_with_1_and_names_what_is_wrong(
    compt: Callable[..., Result], run: Path
) -> None:
    metrics = run / SMALL / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[1:]))
    (run / SMALL / "checksums.json").unlink()
    result = compt("verify", run)
    assert (result.exit_code, result.stderr) == (1, "")
    assert f"wrong: {SMALL}: step 1 not on record" in result.stdout
    assert f"not checked: {SMALL}: the exported model" in result.stdout
    assert result.stdout.splitlines()[-1] == "not well: 1 wrong, 1 not checked"


def test_a_long_list_is_cut_on_the_terminal_and_whole_as_json(
    compt: Callable[..., Result], run: Path
) -> None:
    metrics = run / SMALL / "metrics.jsonl"
    metrics.write_text(metrics.read_text() + "garbage\n" * 30)
    assert "and 10 more; --json lists all" in compt("verify", run).stdout
    result = compt("verify", run, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["well"] is False and len(document["stages"][0]["problems"]) == 30


@pytest.mark.parametrize("missing", ["", "chain.yaml"])
def test_no_run_there_exits_with_2(compt: Callable[..., Result], run: Path, missing: str) -> None:
    if missing:
        (run / missing).unlink()
    result = compt("verify", run if missing else run / "nowhere")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ") and "mend: " in result.stderr


def test_it_loads_neither_torch_nor_ray(run: Path) -> None:
    loaded = {name.partition(".")[0] for name in _loaded_by("verify", str(run))}
    assert not loaded & {"torch", "ray", "open_clip", "deepspeed", "sklearn"}
