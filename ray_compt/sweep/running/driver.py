"""`compt tune`: run a sweep, or go on where an earlier start in the same folder stopped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from ray_compt.chain.environment import command_line, package_versions
from ray_compt.chain.folder import make_writable
from ray_compt.chain.lock import only_driver
from ray_compt.chain.needs import chain_needs
from ray_compt.config.schema import Chain
from ray_compt.config.sweep_keys import Sweep
from ray_compt.config.yaml_io import read_yaml
from ray_compt.data import open_index
from ray_compt.errors import TrainingError, UserError
from ray_compt.plan.cost import plan_chain
from ray_compt.report.terminal import Terminal, plural
from ray_compt.storage import Scratch
from ray_compt.storage.deadline import Background
from ray_compt.sweep.candidate import Candidate
from ray_compt.sweep.hparams import write_hparams
from ray_compt.sweep.html.page import FILE as PAGE
from ray_compt.sweep.live import LiveTable
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.plan import SweepPlan
from ray_compt.sweep.record import FILE, SweepRecord, read_record
from ray_compt.sweep.report import save, write_page
from ray_compt.sweep.running.folder import SweepFolder
from ray_compt.sweep.running.queue import Listed, Queue, Sampled
from ray_compt.sweep.running.recorder import Recorder, now
from ray_compt.sweep.running.trial import GIGA, CandidateJob, TrialJob, train_candidate
from ray_compt.sweep.running.values import directions, values
from ray_compt.train.cluster import Needs, start_ray, usable_cores

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
# Keys of a sweep file that may change between two starts.
FREE = ("max_concurrent", "retry_failed", "objective")
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
    if (folder.path / "ledger.json").is_file():
        raise UserError(
            "this is the run folder of a chain", where=str(folder.path), mend="give another --run-dir"
        )
    make_writable(folder.path, "the sweep's folder")
    with only_driver(folder.path):
        recorder = Recorder(folder, _open_record(plan, folder, command), plan.sweep.seeds)
        recorder.refresh()
        recorder.reopen()
        run = _Run(plan, folder, recorder, terminal, address is None, verbose)
        run.train(address, console)
        record = recorder.end()
        save(record, folder.path)
        write_page(record, folder.path / PAGE)
        for trial in record.trials:
            if trial.ended:
                write_hparams(folder.trial(trial.number), trial)
    return record


def _open_record(plan: SweepPlan, folder: SweepFolder, command: Sequence[str] | None) -> SweepRecord:
    """The sweep's record so far.

    Raises:
        UserError: the folder's sweep was another one.
    """
    text = plan.loaded.file.read_text(encoding="utf-8")
    objective = Objective(**plan.sweep.objective.model_dump())
    if not (folder.path / FILE).is_file():
        folder.sweep_file.write_text(text)
        versions = package_versions()
        line = command_line(command) if command else None
        return SweepRecord(plan.sweep.name, text, objective, (), now(), None, versions, line)
    record = read_record(folder.path / FILE)
    changed = _changed(record.text, text)
    if record.trials and changed:
        raise UserError(
            f"the sweep in this folder was another one ({', '.join(changed)} was different)",
            where=str(folder.path),
            mend="undo the change, or give another --run-dir",
        )
    folder.sweep_file.write_text(text)
    return replace(record, text=text, objective=objective, ended=None)


def _changed(before: str, after: str) -> list[str]:
    """Keys of the sweep file that are not as they were, of those that have a part in trials that there are."""
    old, new = (_content(text) for text in (before, after))
    return [key for key in {**old, **new} if key not in FREE and old.get(key) != new.get(key)]


def _content(text: str) -> dict[str, Any]:
    tree = read_yaml(text, lambda line: f"{FILE}:{line}")
    return tree.plain() if tree is not None else {}


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
            with LiveTable(console).shown() as table:
                self._tune(address, queue, len(known), open_, left, table, count * len(self.sweep.seeds))

    def _known(self) -> dict[int, Candidate]:
        """Candidates of earlier starts, by number."""
        found: dict[int, Candidate] = {}
        for trial in self.recorder.record.trials:
            if trial.candidate not in found:
                found[trial.candidate] = self.plan.recall(trial.chain, trial.values)
        return found

    def _queue(self, known: dict[int, Candidate]) -> tuple[Queue, int]:
        """What comes after the known candidates, and how many candidates there are in all."""
        if self.sweep.search.algorithm in ("grid", "random"):
            listed = self.plan.candidates()
            for note in listed.notes:
                self.terminal.line(f"  {note}")
            return Listed(listed.candidates[len(known) :]), len(listed.candidates)
        trials = self.sweep.search.trials
        assert trials is not None
        objective = self.recorder.record.objective
        reached = [
            (known[number], values(self.recorder.score(number), objective)) for number in sorted(known)
        ]
        return Sampled(self.plan, directions(objective), trials, reached), trials

    def _tune(
        self,
        address: str | None,
        queue: Queue,
        first: int,
        unfinished: list[tuple[int, Candidate]],
        left: int,
        table: LiveTable,
        trials: int,
    ) -> None:
        # Before Ray is imported, which reads it then.
        os.environ |= QUIET_TUNE
        chains = [candidate.chain for _, candidate in unfinished] or [self._any_chain()]
        needs = chain_needs(chains[0])
        start_ray(address, _together(needs, self._concurrent_here(needs)), verbose=self.verbose)
        import ray

        from ray_compt.sweep.running.searcher import QueueSearcher
        from ray_compt.sweep.running.stop import StopBoard

        samples = self._samples(chains[0])
        board = ray.remote(StopBoard).options(num_cpus=0).remote()
        searcher = QueueSearcher(
            queue, first, unfinished, self.recorder, lambda n, candidate: self._job(n, candidate, samples)
        )
        concurrent = self._concurrent(needs)
        self.terminal.line(f"  {plural(concurrent, 'trial')} at a time")
        with Scratch() as scratch:
            tuner = self._tuner(searcher, board, left, concurrent, str(scratch), samples)
            fit = Background(tuner.fit, name="tune")
            try:
                self._show(fit, table, trials)
            except (KeyboardInterrupt, SystemExit):
                self.terminal.warn("stopping after a checkpoint; a second Ctrl-C does not wait for it")
                searcher.stop()
                ray.get(board.stop_all.remote(), timeout=STOP_S)
                fit.ended.wait(STOP_S)
                self.recorder.refresh()
                raise
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

    def _tuner(
        self, searcher: Any, board: Any, left: int, concurrent: int, scratch: str, samples: int
    ) -> Any:
        import ray
        from ray import tune

        from ray_compt.sweep.running.pruning import make_scheduler
        from ray_compt.sweep.running.silence import silent

        scheduler = make_scheduler(
            self.sweep.prune,
            self.sweep.objective.mode,
            self._costs(samples),
            lambda candidate: ray.get(board.prune.remote(candidate), timeout=STOP_S),
        )
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
                callbacks=[] if self.verbose else [silent()],
                verbose=1 if self.verbose else 0,
            ),
        )

    def _job(self, number: int, candidate: Candidate, samples: int) -> CandidateJob:
        chains = self.recorder.begin(number, candidate)
        planned = _planned(chains[0], samples)
        return CandidateJob(
            candidate=number,
            trials=tuple(
                TrialJob(chain, str(self.folder.trial(trial)), planned)
                for trial, chain in zip(self.recorder.numbers(number), chains)
            ),
            store=str(self.folder.store),
            metric=self.sweep.objective.metric,
            within_stage=self.sweep.prune.within_stage,
            retries=self.sweep.retry_failed,
            on_this_machine=self.on_this_machine,
            verbose=self.verbose,
        )

    def _any_chain(self) -> Chain:
        """A chain of the sweep: the longest composition."""
        return self.plan.outline(max(self.plan.compositions, key=lambda chain: len(chain.stages)))

    def _costs(self, samples: int) -> list[list[int]]:
        """MACs of each composition's stages, in 10^9, with the first value of every key."""
        found = []
        for composition in self.plan.compositions:
            chain = self.plan.outline(composition)
            found.append([max(1, macs // GIGA) for _, macs in _planned(chain, samples)])
        return found

    def _samples(self, chain: Chain) -> int:
        """Training samples; missing shards are said here, before anything is trained."""
        return open_index(chain.data.train, chain.data, self.folder.index).samples

    def _concurrent_here(self, needs: Needs) -> int:
        """Trials that this machine's cores have room for."""
        if not self.on_this_machine:
            return 1
        if self.sweep.max_concurrent != "auto":
            return self.sweep.max_concurrent
        return max(1, int(usable_cores() // (needs.workers * needs.cpus + needs.teacher_cpus + 1)))

    def _concurrent(self, needs: Needs) -> int:
        """Trials that run at once: as asked, or as many as the cluster has room for with their fewest workers."""
        import ray

        if self.sweep.max_concurrent != "auto" or self.on_this_machine:
            return self._concurrent_here(needs)
        have, want = ray.cluster_resources(), needs.total(needs.workers)
        fitting = [int(have.get(kind, 0) // amount) for kind, amount in want.items() if amount]
        return max(1, min(fitting))


def _planned(chain: Chain, samples: int) -> tuple[tuple[int, int], ...]:
    return tuple((stage.steps, stage.macs) for stage in plan_chain(chain, samples).stages)


def _together(needs: Needs, trials: int) -> Needs:
    """What some trials need at once."""
    return replace(
        needs,
        workers=needs.workers * trials,
        most=needs.most * trials,
        teacher_cpus=needs.teacher_cpus * trials,
        teacher_gpus=needs.teacher_gpus * trials,
    )
