"""Training a chain: every stage in order, each from its predecessor, resumable at any point."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from ray_compt.chain.after_growth import evaluate_grown, is_due
from ray_compt.chain.asked import check_for_chain
from ray_compt.chain.bad_samples import BadSamples
from ray_compt.chain.card import write_card, write_missing_cards
from ray_compt.chain.environment import record_start
from ray_compt.chain.features import cache_spec, check_caches, look_up
from ray_compt.chain.finish import evaluate, evaluation_job, export
from ray_compt.chain.folder import RunFolder, add_individuals, make_writable, open_run, run_place
from ray_compt.chain.initial import Predecessor, outside_predecessor, write_initial
from ray_compt.chain.inputs import Inputs, open_inputs
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.listener import EVENTS, Listener, samples_per_second
from ray_compt.chain.needs import chain_needs
from ray_compt.chain.outside import check_init
from ray_compt.chain.placement import place_teachers, within_machine
from ray_compt.chain.prepare import StagePlan, prepare, prepare_individuals
from ray_compt.chain.store.reuse import Reuse, surroundings
from ray_compt.chain.store.store import StageStore
from ray_compt.chain.summary import costs, describe_stage, print_summary, result_line, teacher_words
from ray_compt.chain.teachers import check_outside, stage_teacher
from ray_compt.chain.tracking import tracking
from ray_compt.chain.watch import Watch
from ray_compt.config.schema import Chain
from ray_compt.data import Order
from ray_compt.errors import UserError
from ray_compt.evaluate.suites import Suite
from ray_compt.plan.cost import plan_chain
from ray_compt.report.board import Event
from ray_compt.report.terminal import Terminal, plural
from ray_compt.report.track import Trackers, prefixed
from ray_compt.storage import JsonLines
from ray_compt.train.clip import ClipObjective
from ray_compt.train.cluster import start_ray
from ray_compt.train.job import StageJob, StageTeacher
from ray_compt.train.objective import Objective
from ray_compt.train.stage import train_stage


def train_chain(
    chain: Chain,
    run_dir: str,
    *,
    individual: bool = False,
    step_limit: int | None = None,
    address: str | None = None,
    console: Console,
    verbose: bool = False,
    summary: bool = True,
    command: Sequence[str] | None = None,
    track: Sequence[str] = (),
    store: str | None = None,
    watch: Watch | None = None,
    objective: Objective | None = None,
) -> dict[str, Any]:
    """Train a chain, going on where an earlier run in the same folder stopped.

    Args:
        chain: the resolved chain file.
        run_dir: the run folder.
        individual: train the same family each from scratch too, for comparison.
        step_limit: most optimizer steps a stage; None: as the epochs say.
        address: of a Ray cluster; None starts Ray on this machine.
        console: what people see goes there.
        verbose: let Ray's, DeepSpeed's and torch's own output through.
        summary: print the closing table.
        command: program and arguments that asked for it, for the record.
        track: experiment trackers that get the scalars too: "wandb", "mlflow".
        store: folder or URL of a stage store, from which stages are taken that any run has trained before.
        watch: follows the run, and may end it.
        objective: what stages minimise instead of CLIP's loss; its module is a `train.student.Student`.

    Returns:
        The ledger, as in ledger.json.

    Raises:
        UserError: something that the user must mend; finished stages and checkpoints stay.
        StageInterrupt: `watch` ended it; the same.
        ValueError: a store and an objective, whose code no key of the store knows.
    """
    if store is not None and objective is not None:
        raise ValueError("a stage store keeps stages of CLIP's own objective only")
    watch = watch or Watch()
    terminal = Terminal(console)
    plans = prepare(chain)
    for note in (note for plan in plans for note in plan.notes):
        terminal.line(note)
    with open_run(run_dir, chain) as (folder, ledger):
        if individual:
            add_individuals(ledger, chain)
        alone = prepare_individuals(chain) if individual else []
        if all(entry.state == "done" for entry in ledger.stages + ledger.individual):
            terminal.line(f"chain {chain.name}: complete in {folder.path}")
            write_missing_cards(folder, chain, ledger, plans, alone)
        else:
            check_outside(plans)
            check_init(plans[0].config)
            if store is not None:
                make_writable(run_place(store), "the stage store", "--store")
            with tracking(track, chain, folder, terminal) as trackers:
                start_ray(address, chain_needs(chain), verbose=verbose)
                check_for_chain(chain, folder.path, terminal)
                record_start(folder.path, command)
                inputs = open_inputs(chain, folder, terminal)
                ledger.training_samples = inputs.train.samples
                suite = inputs.suite(folder.index)
                for note in suite.notes:
                    terminal.warn(note)
                check_caches(chain, plans, ledger.stages, inputs, step_limit)
                write_missing_cards(folder, chain, ledger, plans, alone)
                here = address is None
                reuse = _reuse(store, inputs, step_limit, terminal, watch)
                run = _Run(
                    chain,
                    folder,
                    ledger,
                    terminal,
                    trackers,
                    inputs,
                    suite,
                    reuse,
                    watch,
                    step_limit,
                    here,
                    verbose,
                    objective or ClipObjective(),
                )
                run.train_family(plans, alone)
    if summary:
        print_summary(terminal, chain, plan_chain(chain, ledger.training_samples), ledger)
    return ledger.to_json()


@dataclass(frozen=True)
class _Run:
    """What all stages of a run share."""

    chain: Chain
    folder: RunFolder
    ledger: Ledger
    terminal: Terminal
    trackers: Trackers
    inputs: Inputs
    suite: Suite
    reuse: Reuse | None
    watch: Watch
    step_limit: int | None
    on_this_machine: bool
    verbose: bool
    objective: Objective

    def train_family(self, plans: list[StagePlan], alone: list[StagePlan]) -> None:
        """Train the chain's stages, then the individual models; what is done already is skipped."""
        for number, plan in enumerate(plans):
            before = list(zip(plans, self.ledger.stages))[:number]
            self._stage(plan, self.ledger.stages[number], before, "stage")
        for number, plan in enumerate(alone):
            self._stage(plan, self.ledger.individual[number], [], "individual")

    def _stage(
        self, plan: StagePlan, entry: StageEntry, before: list[tuple[StagePlan, StageEntry]], kind: str
    ) -> None:
        title = f"{kind} {plan.number + 1}/{len(self.chain.stages)} {entry.name}"
        if entry.state == "done":
            self.terminal.line(f"{title}: done already")
            if self.reuse is not None:
                self.reuse.offer(plan, [past for past, _ in before], entry, self.folder)
            self.watch.stage_done(entry)
            return
        started, earlier = time.monotonic(), entry.seconds

        def train(entry: StageEntry) -> StageEntry:
            self._train(plan, entry, before, title)
            return self._current(entry)

        try:
            if self.reuse is None:
                train(entry)
            else:
                past = [past for past, _ in before]
                self.reuse.stage(plan, past, entry, self.folder, self.ledger, train)
        except UserError as error:
            seconds = earlier + time.monotonic() - started
            entry = self._current(entry)
            self.ledger.update(entry, state="failed", seconds=round(seconds, 1), error=str(error))
            raise
        lineage = [*before, (plan, self._current(entry))]
        write_card(self.folder, self.chain, self.ledger.training_samples, lineage)
        self.watch.stage_done(self._current(entry))

    def _train(
        self, plan: StagePlan, entry: StageEntry, before: list[tuple[StagePlan, StageEntry]], title: str
    ) -> None:
        started, earlier = time.monotonic(), entry.seconds
        job = self._job(plan, entry, before)
        last_step = job.distill.last_step(job.steps)
        specs = [teacher.cache for teacher in job.teachers if teacher.cache is not None]
        caches = [look_up(spec, job.order, last_step) for spec in specs]
        cached = bool(caches) and all(cache.complete for cache in caches)
        copies = len(plan.teachers) * plan.config.teacher.fewest_replicas
        served, why = place_teachers(plan.config, copies) if plan.teachers and not cached else (False, "")
        entry = self.ledger.update(
            entry,
            state="running",
            error=None,
            parameters=plan.parameters,
            growth=plan.growth_text,
            data=self.inputs.train.digest,
            distill_weight=plan.distill.weight,
            teacher=_served_by(entry, served, cached) if plan.teachers else None,
        )
        self.terminal.line(f"{title}: {describe_stage(plan, job.steps)}")
        for teacher, cache in zip(plan.teachers, caches):
            self.terminal.line(f"  teacher {teacher.name}: {cache.line}")
        if plan.teachers and not cached:
            where = "as a service" if served else "in each worker"
            self.terminal.line(f"  {teacher_words(plan)} {where}: {why}")
        entry = self._measure_growth(job, plan, entry)
        bad = BadSamples(job.path, self.inputs.train.bad)
        with self.terminal.stage(entry.name, job.steps) as lines:
            listener = Listener(
                self.ledger,
                entry,
                lines,
                bad,
                JsonLines(job.path, EVENTS),
                earlier,
                started,
                self.trackers,
                lambda step, features: costs(plan, self.chain, step, job.steps, features if caches else None),
            )

            def hear(event: Event) -> None:
                listener(event)
                self.watch.event(entry, event)

            try:
                trained = train_stage(
                    job, served=served, listen=hear, most_workers=lambda: self.watch.most_workers(entry)
                )
            finally:
                listener.store()
        export(job, trained, [past.name for _, past in before])
        metrics = self._evaluate(job, plan, entry)
        progress = trained.progress
        entry = self.ledger.update(
            self._current(entry),
            state="done",
            steps=progress.step,
            samples=progress.samples,
            seconds=round(earlier + time.monotonic() - started, 1),
            samples_per_second=samples_per_second(progress.samples, progress.seconds),
            metrics=metrics,
            bad_samples=bad.count,
            teacher_samples=listener.features,
            **listener.costs(progress.step, listener.features),
        )
        if bad.count:
            self.terminal.warn(
                f"{entry.name}: {plural(bad.count, 'sample')} could not be used; see bad_samples.jsonl"
            )
        self.terminal.line(f"  {result_line(entry)}")

    def _measure_growth(self, job: StageJob, plan: StagePlan, entry: StageEntry) -> StageEntry:
        if not self.suite.tasks or not is_due(self.chain, job, entry):
            return entry
        task = evaluation_job(self.chain, job, self.suite)
        grown = evaluate_grown(task, job, gpus=plan.config.workers.gpus)
        self.trackers.log(entry.folder, 0, prefixed("after_growth", grown))
        return self.ledger.update(entry, grown_metrics=grown)

    def _evaluate(self, job: StageJob, plan: StagePlan, entry: StageEntry) -> dict[str, float]:
        task = evaluation_job(self.chain, job, self.suite)
        metrics = evaluate(task, gpus=plan.config.workers.gpus, step=job.steps)
        if metrics:
            self.trackers.log(entry.folder, job.steps, prefixed("evaluation", metrics))
        return metrics

    def _job(
        self, plan: StagePlan, entry: StageEntry, before: list[tuple[StagePlan, StageEntry]]
    ) -> StageJob:
        stage, path = plan.config, self.folder.stage(entry)
        path.make()
        source = _predecessor(self.folder, *before[-1]) if before else outside_predecessor(plan)
        initial = write_initial(path, plan, source, seed=self.chain.seed)
        steps = plan.steps(self.inputs.train.samples, self.step_limit)
        order = self.inputs.order(stage.train.global_batch)
        return StageJob(
            name=entry.name,
            folder=str(path),
            seed=self.chain.seed,
            initial=str(initial.weights) if initial else None,
            carried=str(initial.moments) if initial and initial.moments else None,
            model=plan.model,
            train=stage.train,
            workers=within_machine(stage.workers) if self.on_this_machine else stage.workers,
            steps=steps,
            index=self.inputs.train,
            order=order,
            preprocess=self.inputs.preprocess(plan.model),
            reader_cpus=self.chain.data.reader_cpus,
            max_bad_share=self.chain.data.max_bad_share,
            distill=plan.distill,
            teacher_config=stage.teacher,
            objective=self.objective,
            teachers=self._teachers(plan, before, order),
            verbose=self.verbose,
        )

    def _teachers(
        self, plan: StagePlan, before: list[tuple[StagePlan, StageEntry]], order: Order
    ) -> tuple[StageTeacher, ...]:
        folders = [self.folder.stage(entry) for _, entry in before]
        preprocess = self.inputs.preprocess(plan.model)
        found = [stage_teacher(teacher, plan, folders, preprocess, order) for teacher in plan.teachers]
        path, data = plan.config.teacher.cache, self.inputs.train.digest
        if path is None:
            return tuple(found)
        return tuple(
            replace(one, cache=cache_spec(self.chain, path, one.spec, teacher.model, preprocess, data))
            for one, teacher in zip(found, plan.teachers)
        )

    def _current(self, entry: StageEntry) -> StageEntry:
        """The ledger's newest entry of the same stage."""
        entries = self.ledger.stages + self.ledger.individual
        return next(known for known in entries if known.folder == entry.folder)


def _reuse(
    store: str | None, inputs: Inputs, limit: int | None, terminal: Terminal, watch: Watch
) -> Reuse | None:
    if store is None:
        return None
    samples = inputs.train.samples
    return Reuse(
        StageStore(run_place(store)),
        surroundings(inputs),
        lambda plan: plan.steps(samples, limit),
        terminal,
        watch.waiting,
    )


def _predecessor(folder: RunFolder, plan: StagePlan, entry: StageEntry) -> Predecessor:
    return Predecessor(plan.model, folder.stage(entry), entry.steps)


def _served_by(entry: StageEntry, as_actor: bool, cached: bool) -> str:
    """Where a stage's features come from; "cache" only where no earlier run of the stage has computed any."""
    if cached:
        return entry.teacher or "cache"
    return "actor" if as_actor else "inline"
