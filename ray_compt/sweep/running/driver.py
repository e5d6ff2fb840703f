"""`compt tune`: run a sweep, or go on where an earlier start in the same folder stopped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from ray_compt.chain.asked import check_for_chain
from ray_compt.chain.folder import make_writable, refuse_chains_folder
from ray_compt.chain.lock import only_driver
from ray_compt.config.schema import Chain
from ray_compt.config.sweep_keys import Sweep
from ray_compt.data import open_index
from ray_compt.errors import TrainingError, UserError
from ray_compt.report.terminal import Terminal, plural
from ray_compt.storage import Scratch
from ray_compt.storage.deadline import Background
from ray_compt.sweep.candidate import Candidate
from ray_compt.sweep.hparams import write_hparams
from ray_compt.sweep.html.page import FILE as PAGE
from ray_compt.sweep.live import LiveTable
from ray_compt.sweep.plan import SweepPlan
from ray_compt.sweep.record import SweepRecord
from ray_compt.sweep.report import save, write_page
from ray_compt.sweep.running.folder import SweepFolder
from ray_compt.sweep.running.opening import open_record
from ray_compt.sweep.running.queue import Listed, Queue, Sampled
from ray_compt.sweep.running.recorder import Recorder
from ray_compt.sweep.running.same import with_credentials
from ray_compt.sweep.running.size import most_needed, outlines, planned, stage_costs
from ray_compt.sweep.running.trial import CandidateJob, TrialJob, reports, train_candidate
from ray_compt.sweep.running.values import directions, outcome
from ray_compt.train.cluster import Needs, start_ray, usable_cores
from ray_compt.train.disk import explained
from ray_compt.train.scaling import places

SHOW_EVERY_S = 1.0
# Longest time that a stop waits for the checkpoints.
STOP_S = 150.0
# Of a trial's own process, which only waits.
TRIAL_CPUS = 0.01
# No files of its own beside ours, no handler of Ctrl-C, and no words on the terminal.
QUIET_TUNE = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}
# Times that a lost node or a killed process takes a candidate along before it counts as failed.
LOST = 3


def run_sweep(
    plan: SweepPlan,
    folder: SweepFolder,
    *,
    address: str | None = None,
    console: Console,
    verbose: bool = False,
    command: Sequence[str] | None = None,
) -> SweepRecord:
    """Run a sweep to its end; trials that have ended are not run again, others go on where they stopped.

    Args:
        plan: the checked sweep.
        folder: where it is kept.
        address: of a Ray cluster; None starts Ray on this machine.
        console: what people see goes there.
        verbose: let Ray's, DeepSpeed's and torch's own output through.
        command: program and arguments that asked for it, for the record.

    Raises:
        UserError: something that the user must mend; what was trained stays.
    """
    terminal = Terminal(console)
    refuse_chains_folder(folder.path)
    make_writable(folder.path, "the sweep's folder")
    with only_driver(folder.path):
        recorder = Recorder(folder, open_record(plan, folder, command), plan.sweep.seeds)
        recorder.reopen()
        run = _Run(plan, folder, recorder, terminal, address is None, verbose)
        try:
            run.train(address, console)
        finally:
            recorder.leave()
        record = recorder.end()
        save(record, folder.path)
        write_page(record, folder.path / PAGE)
        for trial in record.trials:
            if trial.ended:
                with explained(str(folder.trial(trial.number))):
                    write_hparams(folder.trial(trial.number), trial)
    return record


@dataclass(frozen=True)
class _Run:
    """One start of a sweep."""

    plan: SweepPlan
    folder: SweepFolder
    recorder: Recorder
    terminal: Terminal
    on_this_machine: bool
    verbose: bool

    @property
    def sweep(self) -> Sweep:
        return self.plan.sweep

    def train(self, address: str | None, console: Console) -> None:
        known = self._known()
        queue, count = self._queue(known)
        ended = {trial.number for trial in self.recorder.record.trials if trial.ended}
        open_ = [
            (number, candidate)
            for number, candidate in known.items()
            if not ended.issuperset(self.recorder.numbers(number))
        ]
        left = count - len(known) + len(open_)
        seeds = f" with {plural(len(self.sweep.seeds), 'seed')}" if len(self.sweep.seeds) > 1 else ""
        self.terminal.line(
            f"sweep {self.sweep.name}: {plural(count, 'candidate')}{seeds}, {left} to go; {self.folder.path}"
        )
        if left:
            self.recorder.plan(count * len(self.sweep.seeds))
            with LiveTable(console).shown() as table:
                self._tune(address, queue, known, open_, left, table, count * len(self.sweep.seeds))
            for note in queue.notes:
                self.terminal.line(f"  {note}")

    def _known(self) -> dict[int, Candidate]:
        """Candidates of earlier starts, by number."""
        found: dict[int, Candidate] = {}
        for trial in self.recorder.record.trials:
            if trial.candidate not in found:
                values = with_credentials(self.plan, trial.values)
                found[trial.candidate] = self.plan.recall(trial.chain, values)
        return found

    def _queue(self, known: dict[int, Candidate]) -> tuple[Queue, int]:
        """What comes after the known candidates, and how many candidates there are in all."""
        if self.sweep.search.algorithm in ("grid", "random"):
            listed = self.plan.candidates()
            for note in listed.notes:
                self.terminal.line(f"  {note}")
            fresh = Listed(listed.candidates, list(known.values()))
            return fresh, len(known) + len(fresh)
        trials = self.sweep.search.trials
        assert trials is not None
        objective = self.recorder.record.objective
        reached = [
            (known[number], outcome(self.recorder.score(number), objective)) for number in sorted(known)
        ]
        queue = Sampled(self.plan, directions(objective), trials, reached)
        return queue, max(len(known), min(trials, self.plan.size or trials))

    def _tune(
        self,
        address: str | None,
        queue: Queue,
        known: dict[int, Candidate],
        unfinished: list[tuple[int, Candidate]],
        left: int,
        table: LiveTable,
        trials: int,
    ) -> None:
        # Before Ray is imported, which reads it then.
        os.environ |= QUIET_TUNE
        chains = outlines(self.plan)
        needs = most_needed(chains)
        start_ray(address, _together(needs, self._concurrent_here(needs)), verbose=self.verbose)
        check_for_chain(chains[0], self.folder.path, self.terminal)
        from ray_compt.sweep.running.searcher import QueueSearcher
        from ray_compt.sweep.running.stop import start_stop_board, tell_board

        samples = self._samples(chains[0])
        board = start_stop_board()
        searcher = QueueSearcher(
            queue,
            len(known),
            unfinished,
            self.recorder,
            lambda number, candidate: self._job(number, candidate, samples),
            board.count.remote,
        )
        concurrent = self._concurrent(needs)
        asked = self.sweep.max_concurrent
        why = f", for want of room for {asked}" if asked != "auto" and concurrent < asked else ""
        self.terminal.line(f"  {plural(concurrent, 'trial')} at a time{why}")
        with Scratch() as scratch:
            scheduler = self._scheduler(board, stage_costs(chains, samples), self._history(known, samples))
            tuner = self._tuner(searcher, scheduler, board, left, concurrent, str(scratch))
            fit = Background(tuner.fit, name="tune")
            try:
                self._show(fit, table, trials)
            except (KeyboardInterrupt, SystemExit):
                self.terminal.warn("stopping after a checkpoint; a second Ctrl-C does not wait for it")
                searcher.stop()
                tell_board(board.stop_all.remote())
                fit.ended.wait(STOP_S)
                raise
        if isinstance(fit.failure, UserError):
            raise fit.failure
        if fit.failure is not None:
            raise TrainingError(
                f"Ray Tune stopped: {fit.failure}",
                where=f"sweep {self.sweep.name}",
                mend="run the command again, with -v to see more; finished trials stay",
            ) from fit.failure

    def _show(self, fit: Background[Any], table: LiveTable, trials: int) -> None:
        while not fit.ended.wait(SHOW_EVERY_S):
            table.update(self.recorder.refresh(), trials)
        table.update(self.recorder.refresh(), trials)

    def _scheduler(self, board: Any, costs: list[list[float]], history: list[list[dict[str, float]]]) -> Any:
        from ray_compt.sweep.running.pruning import make_scheduler
        from ray_compt.sweep.running.stop import tell_board

        return make_scheduler(
            self.sweep.prune,
            self.sweep.objective.mode,
            costs,
            lambda candidate: tell_board(board.prune.remote(candidate)),
            history,
        )

    def _history(self, known: dict[int, Candidate], samples: int) -> list[list[dict[str, float]]]:
        """What candidates that have ended had reported at the ends of their stages."""
        if self.sweep.prune.scheduler == "none" or self.sweep.prune.within_stage:
            return []
        first = {self.recorder.numbers(number)[0]: candidate for number, candidate in known.items()}
        return [
            reports(trial, planned(first[trial.number].chain, samples), self.sweep.objective.metric)
            for trial in self.recorder.record.trials
            if trial.ended and trial.number in first
        ]

    def _tuner(
        self, searcher: Any, scheduler: Any, board: Any, left: int, concurrent: int, scratch: str
    ) -> Any:
        from ray import tune

        from ray_compt.sweep.running.lost import LostCandidates
        from ray_compt.sweep.running.silence import silent

        lost = LostCandidates(self.recorder, LOST)
        return tune.Tuner(
            tune.with_resources(
                tune.with_parameters(train_candidate, board=board),
                tune.PlacementGroupFactory([{"CPU": TRIAL_CPUS}]),
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=left,
                max_concurrent_trials=concurrent,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=scratch,
                failure_config=tune.FailureConfig(max_failures=LOST),
                callbacks=[lost] if self.verbose else [lost, silent()],
                verbose=1 if self.verbose else 0,
            ),
        )

    def _job(self, number: int, candidate: Candidate, samples: int) -> CandidateJob:
        chains = self.recorder.begin(number, candidate)
        steps = planned(chains[0], samples)
        return CandidateJob(
            candidate=number,
            trials=tuple(
                TrialJob(chain, str(self.folder.trial(trial)), steps)
                for trial, chain in zip(self.recorder.numbers(number), chains)
            ),
            store=str(self.folder.store),
            metric=self.sweep.objective.metric,
            within_stage=self.sweep.prune.within_stage,
            retries=self.sweep.retry_failed,
            on_this_machine=self.on_this_machine,
            verbose=self.verbose,
            index=str(self.folder.index),
        )

    def _samples(self, chain: Chain) -> int:
        """Training samples; missing shards are said here, before anything is trained, and both splits walked once."""
        if chain.data.val:
            open_index(chain.data.val, chain.data, self.folder.index)
        return open_index(chain.data.train, chain.data, self.folder.index).samples

    def _concurrent_here(self, needs: Needs) -> int:
        """Trials that this machine's cores have room for, at most as many as asked for."""
        if not self.on_this_machine:
            return 1
        cores, each = usable_cores(), needs.workers * needs.cpus
        if self.sweep.max_concurrent == "auto":
            return max(1, int(cores // (each + needs.teacher_cpus + 1)))
        return max(1, min(self.sweep.max_concurrent, int(cores // each)))

    def _concurrent(self, needs: Needs) -> int:
        """Trials that run at once: as asked, or as many as the cluster has room for with their fewest workers."""
        import ray

        if self.on_this_machine:
            return self._concurrent_here(needs)
        room = max(1, places({"the cluster": ray.cluster_resources()}, needs.total(needs.workers)))
        asked = self.sweep.max_concurrent
        return room if asked == "auto" else min(asked, room)


def _together(needs: Needs, trials: int) -> Needs:
    """What some trials need at once."""
    return replace(
        needs,
        workers=needs.workers * trials,
        most=needs.most * trials,
        teacher_cpus=needs.teacher_cpus * trials,
        teacher_gpus=needs.teacher_gpus * trials,
    )
