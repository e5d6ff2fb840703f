"""A candidate's trials: what they report, how they end, and what their files say then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from ray_compt.chain.watch import Watch
from ray_compt.config import make_chain
from ray_compt.config.schema import DataConfig
from ray_compt.data import open_index
from ray_compt.errors import StorageError, UserError
from ray_compt.report.board import Event
from ray_compt.storage import open_place
from ray_compt.sweep.running.state import TrialFile, read_trial, write_trial
from ray_compt.sweep.running.stop import Pruned, Request, StopLight, Stopped
from ray_compt.sweep.running.trial import (
    COST,
    LOG,
    SCORE,
    CandidateJob,
    Train,
    TrialJob,
    TrialWatch,
    brief,
    reports,
    run_candidate,
)
from tests.cli.small import small_chain
from tests.shards import make_shards
from tests.sweep.records import stage, trial
from tests.sweep.running.folders import entry

METRIC = "zero_shot_top1"
# Steps and MACs of two stages.
PLANNED = ((10, 3 * 10**9), (4, 6 * 10**9))


def nothing() -> Request | None:
    return None


def make_job(folder: Path, *, within_stage: bool = False, retries: int = 0, seeds: int = 2) -> CandidateJob:
    trials = tuple(
        TrialJob(make_chain(small_chain(), [f"seed={seed}"], "here"), str(folder / f"{seed}"), PLANNED)
        for seed in range(seeds)
    )
    return CandidateJob(5, trials, str(folder / "store"), METRIC, within_stage, retries, True, False)


def files(job: CandidateJob) -> list[TrialFile]:
    return [read_trial(open_place(trial.folder)) for trial in job.trials]


def states(job: CandidateJob) -> list[str]:
    return [file.state for file in files(job)]


def to_nobody(_: dict[str, float]) -> None:
    pass


class Trainer:
    """Stands for the training of a chain: what it does for a seed is given, and each call noted."""

    def __init__(self, *does: Callable[[Watch], None]):
        self._does = does
        self.seeds: list[int] = []

    def __call__(self, job: CandidateJob, trial: TrialJob, watch: Watch, console: Console) -> None:
        assert read_trial(open_place(trial.folder)).state == "running"
        self.seeds.append(trial.chain.seed)
        console.print(f"seed {trial.chain.seed} trains")
        self._does[min(len(self.seeds), len(self._does)) - 1](watch)


def ends(watch: Watch) -> None:
    watch.stage_done(entry("small", state="done", metrics={METRIC: 0.25}))
    watch.stage_done(entry("large", state="done", metrics={METRIC: 0.75}))


def fails(watch: Watch) -> None:
    raise UserError("shards are missing", where="data.train", mend="bring them back")


def waits(watch: Watch) -> None:
    watch.waiting()


def run(
    job: CandidateJob, train: Train, asked: Callable[[], Request | None] = nothing
) -> list[dict[str, float]]:
    told: list[dict[str, float]] = []
    run_candidate(job, StopLight(asked), told.append, train)
    return told


def test_the_first_seed_reports_the_ends_of_its_stages_and_all_are_done(tmp_path: Path) -> None:
    job, train = make_job(tmp_path), Trainer(ends)
    assert run(job, train) == [{COST: 3.0, SCORE: 0.25}, {COST: 9.0, SCORE: 0.75}]
    assert train.seeds == [0, 1]
    assert states(job) == ["done", "done"]
    assert "seed 1 trains" in (tmp_path / "1" / LOG).read_text()


def test_what_has_ended_stays_as_it_is(tmp_path: Path) -> None:
    job, train = make_job(tmp_path, seeds=3), Trainer(ends)
    write_trial(open_place(tmp_path / "0"), "done")
    write_trial(open_place(tmp_path / "1"), "failed", "no room")
    run(job, train)
    assert train.seeds == [2]
    assert files(job) == [TrialFile("done"), TrialFile("failed", "no room"), TrialFile("done")]


def test_where_one_seed_is_pruned_all_are(tmp_path: Path) -> None:
    job, train = make_job(tmp_path, seeds=3), Trainer(ends)
    run(job, train, lambda: "prune")
    assert train.seeds == [0]
    assert states(job) == ["pruned"] * 3


def test_a_kill_between_two_prunings_prunes_the_rest(tmp_path: Path) -> None:
    job, train = make_job(tmp_path), Trainer(ends)
    write_trial(open_place(tmp_path / "0"), "pruned")
    run(job, train)
    assert train.seeds == []
    assert states(job) == ["pruned", "pruned"]


def test_a_trial_that_stops_goes_on_with_the_next_start(tmp_path: Path) -> None:
    job, train = make_job(tmp_path), Trainer(waits)
    run(job, train, lambda: "stop")
    assert train.seeds == [0]
    assert states(job) == ["pending", "pending"]


def test_a_trial_is_pruned_while_it_waits_for_anothers_stage(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    run(job, Trainer(waits), lambda: "prune")
    assert states(job) == ["pruned", "pruned"]


def test_a_chain_that_is_complete_has_nothing_left_to_prune(tmp_path: Path) -> None:
    job, asked = make_job(tmp_path, seeds=1), iter([None, "prune"])
    run(job, Trainer(ends), lambda: next(asked))  # type: ignore[arg-type]
    assert states(job) == ["done"]
    assert next(asked) == "prune"


def test_a_trial_that_fails_says_why_and_the_next_goes_on(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    run(job, Trainer(fails, ends))
    assert files(job) == [
        TrialFile("failed", "data.train: shards are missing\n  mend: bring them back"),
        TrialFile("done"),
    ]
    assert "shards are missing" in (tmp_path / "0" / LOG).read_text()


def test_a_bug_is_told_in_one_line_with_its_traceback_in_the_log(tmp_path: Path) -> None:
    def breaks(watch: Watch) -> None:
        raise ZeroDivisionError("first\nlast line")

    job = make_job(tmp_path, seeds=1)
    run(job, Trainer(breaks))
    assert files(job) == [TrialFile("failed", f"ZeroDivisionError: last line; the traceback is in {LOG}")]
    assert "Traceback" in (tmp_path / "0" / LOG).read_text()


@pytest.mark.parametrize("retries, state", [(1, "failed"), (2, "done"), (5, "done")])
def test_a_trial_that_fails_is_tried_as_often_as_asked(tmp_path: Path, retries: int, state: str) -> None:
    job, train = make_job(tmp_path, retries=retries, seeds=1), Trainer(fails, fails, ends)
    run(job, train)
    assert states(job) == [state]
    assert len(train.seeds) == min(1 + retries, 3)


@pytest.mark.parametrize("asked, state", [("prune", "pruned"), ("stop", "pending")])
def test_what_goes_wrong_while_a_stage_ends_as_asked_fails_nothing(
    tmp_path: Path, asked: Request, state: str
) -> None:
    def ends_badly(watch: Watch) -> None:
        try:
            watch.waiting()
        finally:
            raise StorageError("does not answer")

    job, train = make_job(tmp_path, retries=3, seeds=1), Trainer(ends_badly)
    run(job, train, lambda: asked)
    assert files(job) == [TrialFile(state)]  # type: ignore[arg-type]
    assert len(train.seeds) == 1, "it is not tried again, which would train on"


def test_a_trial_begins_with_the_sweeps_tables_of_shards(tmp_path: Path) -> None:
    shards, walked = make_shards(tmp_path / "shards", 3), []
    data = DataConfig(train=[str(shard) for shard in shards])
    whole = open_index(data.train, data, tmp_path / "index")
    job = replace(make_job(tmp_path), index=str(tmp_path / "index"))

    def train(job: CandidateJob, trial: TrialJob, watch: Watch, console: Console) -> None:
        own = open_index(
            data.train, data, f"{trial.folder}/index", on_progress=lambda *done: walked.append(done)
        )
        assert own.digest == whole.digest

    run_candidate(job, StopLight(nothing), to_nobody, train)
    assert states(job) == ["done", "done"]
    assert walked == []


def test_a_trial_without_them_walks_its_shards_itself(tmp_path: Path) -> None:
    job = replace(make_job(tmp_path), index=str(tmp_path / "nowhere"))
    run_candidate(job, StopLight(nothing), to_nobody, lambda *_: None)
    assert states(job) == ["done", "done"]


def progress(step: int, **scalars: float) -> Event:
    return Event("progress", {"step": step, "scalars": scalars})


@pytest.fixture
def told() -> list[dict[str, float]]:
    return []


def watching(
    folder: Path, told: list[dict[str, float]], asked: Callable[[], Request | None] = nothing, *, within: bool
) -> TrialWatch:
    job = make_job(folder, within_stage=within)
    return TrialWatch(job, job.trials[0], StopLight(asked), told.append)


def test_within_a_stage_the_loss_is_reported_at_what_was_spent(
    tmp_path: Path, told: list[dict[str, float]]
) -> None:
    watch = watching(tmp_path, told, within=True)
    watch.event(entry("small"), progress(5, task_loss=2.0, distill_loss=9.0))
    watch.event(entry("small"), Event("note", {"text": "nothing"}))
    watch.event(entry("large"), progress(1, task_loss=1.5))
    watch.event(entry("large"), progress(2))
    watch.event(entry("large"), progress(3, task_loss=float("nan")))
    watch.stage_done(entry("large", metrics={METRIC: 0.5}))
    assert told == [{COST: 1.5, SCORE: 2.0}, {COST: 4.5, SCORE: 1.5}]


@pytest.mark.parametrize("metrics", [{}, {METRIC: float("nan")}, {"another": 0.5}])
def test_a_stage_without_the_metric_reports_nothing(
    tmp_path: Path, told: list[dict[str, float]], metrics: dict[str, float]
) -> None:
    watch = watching(tmp_path, told, within=False)
    watch.stage_done(entry("small", metrics=metrics))
    watch.event(entry("large"), progress(1, task_loss=1.0))
    assert told == []


@pytest.mark.parametrize("asked, raised", [("prune", Pruned), ("stop", Stopped)])
def test_any_event_may_end_a_stage(
    tmp_path: Path, told: list[dict[str, float]], asked: Request, raised: type[BaseException]
) -> None:
    watch = watching(tmp_path, told, lambda: asked, within=False)
    with pytest.raises(raised):
        watch.event(entry("small"), Event("note", {"text": "nothing"}))
    watch.event(entry("small"), Event("note", {"text": "a stage that ends is still heard"}))


def test_a_record_gives_what_a_trial_had_reported() -> None:
    stages = (
        stage("small", state="done", metrics={METRIC: 0.25}),
        stage("large", state="pruned"),
    )
    assert reports(trial(0, stages=stages), PLANNED, METRIC) == [{COST: 3.0, SCORE: 0.25}]
    assert reports(trial(0, stages=stages), PLANNED, "another") == []


def test_an_error_without_words_has_its_name() -> None:
    assert brief(ValueError()) == "ValueError"
