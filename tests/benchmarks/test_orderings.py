"""What a sweep's record becomes on the results page."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.orderings.table import chain_name, section
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import StageRecord, SweepRecord, TrialRecord

GOAL = Objective("r1", "max", cost="macs")


def _stage(name: str, macs: float, metric: float, *, reused: bool = False) -> StageRecord:
    return StageRecord(
        name, name, name, epochs=4, state="done", reused=reused, macs=int(macs * 1e12), metrics={"r1": metric}
    )


def _trial(number: int, candidate: int, seed: int, *stages: StageRecord) -> TrialRecord:
    names = tuple(stage.name for stage in stages)
    return TrialRecord(number, candidate, seed, names, {}, state="done", stages=stages)


@pytest.fixture
def record() -> SweepRecord:
    """L alone, S before it, and a chain that costs more than S-L and is worse; two seeds."""
    trials = [
        _trial(0, 0, 0, _stage("L", 8, 0.5)),
        _trial(1, 0, 1, _stage("L", 8, 0.7)),
        _trial(2, 1, 0, _stage("S", 1, 0.3), _stage("L", 2, 0.5)),
        _trial(3, 1, 1, _stage("S", 1, 0.4), _stage("L", 2, 0.6)),
        _trial(4, 2, 0, _stage("S", 1, 0.3, reused=True), _stage("M", 1, 0.4), _stage("L", 2, 0.4)),
        _trial(5, 2, 1, _stage("S", 1, 0.4, reused=True), _stage("M", 1, 0.4), _stage("L", 2, 0.5)),
    ]
    return SweepRecord("orderings", "", GOAL, tuple(trials))


def test_chains_stand_by_cost_and_the_front_is_marked(record: SweepRecord):
    rows = [line.split(" | ") for line in section(record).splitlines() if "->" in line or "L 4" in line]
    assert [row[0] for row in rows] == ["| S 4 -> L 4", "| S 4 -> M 4 -> L 4", "| L 4"]
    assert rows[0][1:] == ["3.00", "35.0, 55.0", "50.0, 60.0", "yes |"]
    assert rows[1][-1].strip() == "|"
    assert rows[2][-1] == "yes |"


def test_what_was_shared_is_summed(record: SweepRecord):
    assert "6 trials have 12 stages, of which 10 were trained and 2 taken from others" in section(record)
    assert "28.0 T MACs paid, 2.0 T saved, 7% of" in section(record)


def test_a_candidate_that_is_not_done_has_no_row(record: SweepRecord):
    unfinished = TrialRecord(6, 3, 0, ("XS",), {}, state="running", stages=(_stage("XS", 1, 0.1),))
    more = SweepRecord("orderings", "", GOAL, (*record.trials, unfinished))
    assert "XS" not in section(more)
    assert chain_name(unfinished) == "XS 4"


def test_the_figure_names_every_chain(record: SweepRecord, tmp_path: Path):
    pytest.importorskip("matplotlib")
    from benchmarks.orderings.figure import draw

    words = "".join(ElementTree.parse(draw(record, tmp_path / "made" / "front.svg")).getroot().itertext())
    for name in ("S 4 -> L 4", "S 4 -> M 4 -> L 4", "L 4"):
        assert name in words
