"""Every bad input gets its exit code and one message, harms nobody, and costs nothing that was trained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bad_input.catalogue import CHAPTERS, ROWS
from tests.bad_input.document import PAGE, page, read_page, shown
from tests.bad_input.row import Row
from tests.bad_input.run import run_row, running_ray

RENEW = "run: python -m tests.bad_input.document > docs/errors.md"


def _parameters() -> list[object]:
    marks = [pytest.mark.integration, pytest.mark.timeout(300)]
    return [pytest.param(row, id=row.name, marks=marks if row.ray else []) for row in ROWS]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with running_ray() as address:
        yield address


@pytest.fixture(scope="module")
def documented() -> dict[str, str]:
    return read_page(PAGE.read_text())


@pytest.mark.parametrize("row", _parameters())
def test_a_bad_input_gets_one_message_and_harms_nothing(
    row: Row, tmp_path: Path, request: pytest.FixtureRequest, documented: dict[str, str]
) -> None:
    outcome = run_row(row, tmp_path, request.getfixturevalue("cluster") if row.ray else None)
    assert outcome.code == row.code, outcome.stderr
    assert outcome.message.startswith(f"error: {row.place}"), outcome.message
    assert re.fullmatch(r"error: .+?: .+\n +mend: .+", outcome.stderr.rstrip("\n"), re.DOTALL), outcome.stderr
    assert outcome.stderr.count("error: ") == 1
    for text in row.says:
        assert text in outcome.message
    assert "Traceback" not in outcome.stdout + outcome.stderr
    assert "error" not in outcome.stdout
    assert outcome.lost == []
    assert row.harmless is None or not (tmp_path / row.harmless).exists()
    assert shown(outcome) == documented.get(row.name), RENEW


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_a_stage_that_could_not_go_on_is_marked_in_the_ledger(cluster: str, tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.name == "run-checkpoint-foreign")
    run_row(row, tmp_path, cluster)
    done, failed = json.loads((tmp_path / "run" / "ledger.json").read_text())["stages"]
    assert (done["state"], failed["state"]) == ("done", "failed")
    assert "another model" in failed["error"]


def test_the_page_is_the_catalogues(documented: dict[str, str]) -> None:
    assert PAGE.read_text() == page(documented), RENEW


def test_every_row_has_its_own_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) == sum(len(chapter.rows) for chapter in CHAPTERS)
    assert len(ROWS) >= 40


def test_a_page_is_read_back(documented: dict[str, str]) -> None:
    said = {row.name: f"$ compt {row.name}\nerror: x: y\n  mend: z" for row in ROWS}
    assert read_page(page(said)) == said
