"""Fine-tuning a trained model on labelled pictures: a run of one stage, by the same workers as a chain's stages.

DIR/
  chain.yaml, ledger.json, driver.json, index/    as in every run folder (`folder.py`)
  finetune.json                                   what was asked, and top-1 before and after
  01-finetuned/                                   the stage and its result (`classifier.py`)
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from open_clip import get_model_preprocess_cfg
from rich.console import Console
from torch import nn

from ray_compt.chain.asked import check_for_chain
from ray_compt.chain.bad_samples import BadSamples
from ray_compt.chain.classifier import (
    HEAD_FILE,
    HeadEvaluation,
    evaluate_head,
    export,
    initial_file,
    write_initial,
)
from ray_compt.chain.finetune_card import write_missing_card
from ray_compt.chain.folder import RunFolder, open_run, refuse_chains_folder, run_place
from ray_compt.chain.inputs import Inputs, open_inputs
from ray_compt.chain.ledger import FINETUNED, Ledger, StageEntry
from ray_compt.chain.listener import EVENTS, Listener, samples_per_second
from ray_compt.chain.needs import chain_needs
from ray_compt.chain.placement import within_machine
from ray_compt.chain.prepare import StagePlan, prepare
from ray_compt.config import make_chain
from ray_compt.config.schema import Chain
from ray_compt.data import make_preprocess
from ray_compt.errors import UserError, placed
from ray_compt.models import open_pretrained
from ray_compt.models.store import WEIGHTS_FILE
from ray_compt.plan import FinetuningMacs, finetuning_macs, format_count
from ray_compt.report.terminal import Terminal, percent
from ray_compt.storage import JsonLines, Place
from ray_compt.train.classification import Classification
from ray_compt.train.cluster import start_ray
from ray_compt.train.job import StageJob
from ray_compt.train.metrics import record_evaluation
from ray_compt.train.stage import train_stage

FILE, STAGE = "finetune.json", "finetuned"
COLUMNS = ("model", "parameters", "classes", "MACs", "epochs", "top-1 before", "top-1 after", "seconds")
# A trained tower bears small steps only; further ones with --set.
DEFAULTS: dict[str, Any] = {"global_batch": 256, "lr": 1e-5, "weight_decay": 0.1, "warmup_steps": 100}


@dataclass(frozen=True)
class Asked:
    """What a fine-tuning is asked for beside the keys of a chain file.

    Attributes:
        model: what `open_pretrained` takes.
        head: what the head begins as, "zero-shot" or "zeros".
        label_smoothing: see `Classification`.
    """

    model: str
    head: str
    label_smoothing: float


@dataclass(frozen=True)
class Source:
    """The model to fine-tune: its module, float32 on the CPU, and its configuration."""

    model: nn.Module
    config: dict[str, Any]


def open_source(
    ref: str, data: dict[str, Any], epochs: float, overrides: Sequence[str]
) -> tuple[Source, Chain]:
    """Open a model, and make the chain of one stage that fine-tunes it.

    Args:
        ref: a stage's folder or URL, or open_clip's NAME/TAG.
        data: keys of the chain file's data section.
        epochs: passes over the training data.
        overrides: `KEY=VALUE` texts as `compt train --set` takes them.

    Raises:
        UserError: no such model, one that cannot be fine-tuned, or a wrong key.
    """
    with placed(ref):
        source = Source(*open_pretrained(ref))
    chain = _chain(source.config, data, epochs, overrides)
    if chain.data.image_size != source.config["vision_cfg"].get("image_size", 224):
        with placed(ref):
            source = Source(*open_pretrained(ref, chain.data.image_size))
        chain = _chain(source.config, data, epochs, overrides)
    if "multimodal_cfg" in source.config:
        raise UserError(
            "CoCa's image tower gives more than one embedding, and cannot be fine-tuned",
            where=ref,
            mend="give a CLIP model",
        )
    return source, chain


def _chain(config: dict[str, Any], data: dict[str, Any], epochs: float, overrides: Sequence[str]) -> Chain:
    content = {
        "name": "finetune",
        "data": {"image_size": config["vision_cfg"].get("image_size", 224), **data},
        "train": DEFAULTS,
        "stages": [{"name": STAGE, "model": config, "epochs": epochs}],
    }
    return make_chain(content, overrides, where="compt finetune")


def finetune_model(
    asked: Asked,
    source: Source,
    chain: Chain,
    run_dir: str,
    *,
    address: str | None = None,
    console: Console,
    verbose: bool = False,
) -> dict[str, Any]:
    """Fine-tune a model, going on where an earlier run in the same folder stopped.

    Args:
        asked: the model's name and the head.
        source, chain: as `open_source` gives them.
        run_dir: the run folder.
        address: of a Ray cluster; None starts Ray on this machine.
        console: what people see goes there.
        verbose: let Ray's, DeepSpeed's and torch's own output through.

    Returns:
        The content of finetune.json.

    Raises:
        UserError: something that the user must mend; what was trained stays in the folder.
    """
    terminal = Terminal(console)
    (plan,) = prepare(chain)
    place = run_place(run_dir)
    if not (place / FILE).is_file():
        refuse_chains_folder(place)
    with open_run(run_dir, chain) as (folder, ledger):
        record = _Record(folder.path / FILE, asked)
        if ledger.stages[0].state != "done":
            start_ray(address, chain_needs(chain), verbose=verbose)
            check_for_chain(chain, folder.path, terminal)
            inputs = open_inputs(chain, folder, terminal)
            ledger.training_samples = inputs.train.samples
            run = _Run(chain, plan, asked, source, folder, ledger, inputs, terminal, record)
            try:
                run.train(on_this_machine=address is None, verbose=verbose)
            except UserError as error:
                ledger.update(ledger.stages[0], state="failed", error=str(error))
                raise
        found = record.content
        spent = _spent(chain, plan, asked, found["classes"], found["steps"])
        write_missing_card(folder, chain, plan, ledger, found, spent)
        before, after = percent(found["before"]), percent(found["after"])
        _print_table(terminal, asked, found, ledger.stages[0], spent)
        terminal.line(f"top-1 on the validation split: {before} before, {after} after; {found['folder']}")
        return found


def _prompts(chain: Chain, asked: Asked) -> Sequence[str]:
    """What the head begins as."""
    return chain.data.class_templates if asked.head == "zero-shot" else ()


def _spent(chain: Chain, plan: StagePlan, asked: Asked, classes: int, steps: int) -> FinetuningMacs:
    return finetuning_macs(
        plan.macs,
        width=plan.model["embed_dim"],
        classes=classes,
        prompts=classes * len(_prompts(chain, asked)),
        global_batch=plan.config.train.global_batch,
        steps=steps,
    )


def _print_table(
    terminal: Terminal, asked: Asked, found: dict[str, Any], entry: StageEntry, spent: FinetuningMacs
) -> None:
    cells = (
        entry.model,
        format_count(entry.parameters),
        str(found["classes"]),
        format_count(spent.total),
        f"{entry.epochs:g}",
        percent(found["before"]),
        percent(found["after"]),
        f"{entry.seconds:.0f}",
    )
    terminal.table(f"fine-tuning of {asked.model}", COLUMNS, [cells])


class _Record:
    """finetune.json: what was asked, and what was found so far.

    Raises:
        UserError: the folder's fine-tuning was asked for otherwise.
    """

    def __init__(self, file: Place, asked: Asked):
        self._file = file
        self.content: dict[str, Any] = {**asdict(asked), "before": None, "after": None}
        if not file.is_file():
            self.update()
            return
        try:
            stored = json.loads(file.read_text())
            changed = [(key, stored[key], new) for key, new in asdict(asked).items() if stored[key] != new]
            self.content |= stored
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                "cannot be read", where=str(file), mend="restore it from a copy, or give another --run-dir"
            ) from error
        if changed:
            key, old, new = changed[0]
            raise UserError(
                f"the fine-tuning in this folder began with {key} {old!r}, not {new!r}",
                where=str(file),
                mend="undo the change, or give another --run-dir",
            )

    def update(self, **values: Any) -> None:
        self.content |= values
        self._file.write_text(json.dumps(self.content, indent=1, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class _Run:
    """One fine-tuning under way."""

    chain: Chain
    plan: StagePlan
    asked: Asked
    source: Source
    folder: RunFolder
    ledger: Ledger
    inputs: Inputs
    terminal: Terminal
    record: _Record

    def train(self, *, on_this_machine: bool, verbose: bool) -> None:
        started, entry = time.monotonic(), self.ledger.stages[0]
        earlier = entry.seconds
        classes = self._classes()
        job = self._job(classes, on_this_machine=on_this_machine, verbose=verbose)
        write_initial(job.path, self.source.model, job.model, classes, _prompts(self.chain, self.asked))
        if self.record.content["before"] is None:
            self.record.update(before=self._top1(job, classes, (str(initial_file(job.path)),)))
        entry = self.ledger.update(
            entry,
            state="running",
            error=None,
            parameters=self.plan.parameters,
            growth=FINETUNED,
            data=self.inputs.train.digest,
        )
        self.terminal.line(
            f"{len(classes)} classes, {self.plan.config.epochs:g} epochs = {job.steps} steps, "
            f"top-1 {percent(self.record.content['before'])} with the {self.asked.head} head"
        )
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
                costs=lambda step, _: {"macs": self._spent(classes, step).total},
            )
            try:
                trained = train_stage(job, served=False, listen=listener)
            finally:
                listener.store()
        export(job, trained, classes, self.asked.model)
        after = self._top1(job, classes, (str(job.path / WEIGHTS_FILE), str(job.path / HEAD_FILE)))
        progress = trained.progress
        spent = self._spent(classes, progress.step)
        record_evaluation(job.path, job.steps, {"top1": after, "macs": float(spent.total)})
        self.record.update(
            after=after,
            classes=len(classes),
            folder=str(job.path),
            steps=progress.step,
            samples=progress.samples,
            macs=spent.total,
            frozen_macs=spent.frozen,
        )
        self.ledger.update(
            self.ledger.stages[0],
            state="done",
            steps=progress.step,
            samples=progress.samples,
            macs=spent.total,
            seconds=round(earlier + time.monotonic() - started, 1),
            samples_per_second=samples_per_second(progress.samples, progress.seconds),
            metrics={"top1": after},
            bad_samples=bad.count,
        )
        # Last of all: until here it may be needed again.
        (job.path / "initial").remove()

    def _spent(self, classes: Sequence[str], steps: int) -> FinetuningMacs:
        return _spent(self.chain, self.plan, self.asked, len(classes), steps)

    def _classes(self) -> tuple[str, ...]:
        """The training split's classes.

        Raises:
            UserError: a split has none, or only one.
        """
        splits = {"--data": self.inputs.train, "--val": self.inputs.val}
        for option, index in splits.items():
            if index is None or not index.class_names:
                raise UserError(
                    "no sample has a class",
                    where=option,
                    mend="name the JSON field of the classes with --class-field",
                )
        classes = tuple(self.inputs.train.class_names)
        if len(classes) < 2:
            raise UserError(
                f"there is one class only, {classes[0]!r}",
                where="--data",
                mend="give pictures of two classes or more",
            )
        return classes

    def _job(self, classes: tuple[str, ...], *, on_this_machine: bool, verbose: bool) -> StageJob:
        stage, path = self.plan.config, self.folder.stage(self.ledger.stages[0])
        path.make()
        own = get_model_preprocess_cfg(self.source.model)
        preprocess = make_preprocess(
            self.chain.data, self.plan.model, seed=self.chain.seed, mean=own["mean"], std=own["std"]
        )
        return StageJob(
            name=stage.name,
            folder=str(path),
            seed=self.chain.seed,
            initial=str(initial_file(path)),
            model=self.plan.model,
            train=stage.train,
            workers=within_machine(stage.workers) if on_this_machine else stage.workers,
            steps=self.plan.steps(self.inputs.train.samples, None),
            index=self.inputs.train,
            order=self.inputs.order(stage.train.global_batch),
            preprocess=preprocess,
            reader_cpus=self.chain.data.reader_cpus,
            max_bad_share=self.chain.data.max_bad_share,
            distill=self.plan.distill,
            teacher_config=stage.teacher,
            objective=Classification(classes, self.asked.label_smoothing),
            verbose=verbose,
        )

    def _top1(self, job: StageJob, classes: tuple[str, ...], files: tuple[str, ...]) -> float:
        assert self.inputs.val is not None
        task = HeadEvaluation(
            files,
            job.model,
            classes,
            self.inputs.val,
            job.preprocess,
            self.chain.evaluate.batch,
            self.chain.evaluate.timeout_s,
        )
        return evaluate_head(task, gpus=job.workers.gpus)
