"""`compt report`: from run folders to facts, and from facts to a file (`report/html/`)."""

from __future__ import annotations

from collections.abc import Sequence

from ray_compt import __version__
from ray_compt.chain.environment import read_starts
from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import FINETUNED, Ledger, StageEntry
from ray_compt.chain.lock import read_driver
from ray_compt.config.schema import Chain, StageConfig
from ray_compt.config.yaml_io import write_yaml
from ray_compt.errors import UserError
from ray_compt.plan import individual_epochs, plan_chain, stage_steps
from ray_compt.plan.cost import ChainCost, StageCost
from ray_compt.report.html.document import save_document
from ray_compt.report.html.examples import Examples, choose_examples, embed_examples
from ray_compt.report.html.facts import RunFacts, StageFacts
from ray_compt.report.html.page import Section, render
from ray_compt.report.html.read import read_bad_samples, read_curves, read_events, read_tasks
from ray_compt.report.published import public, without_credentials
from ray_compt.storage import Place, open_place

FILE = "report.html"
NOT_ASKED = "they were not asked for (--no-examples)."


class NothingToShow(UserError):
    """A run that has not taken a step."""


def write_report(
    runs: Sequence[str], out: Place, *, examples: bool = True, no_examples: str = NOT_ASKED
) -> list[RunFacts]:
    """Write one report about runs, whole or not at all; their folders are only read.

    Args:
        runs: run folders, paths or URLs, at least one.
        out: the file.
        examples: embed a few validation samples of each run and show them.
        no_examples: what stands in their place where that is not wanted.

    Returns:
        What it is about.

    Raises:
        NothingToShow: a run that has not taken a step.
        UserError: no run there, or a file that cannot be written.
    """
    sections = [_section(RunFolder(open_place(run)), None if examples else no_examples) for run in runs]
    save_document(render(sections, version=__version__), out)
    return [section.run for section in sections]


def read_run(folder: RunFolder) -> RunFacts:
    """What a run folder says.

    Raises:
        NothingToShow: it has not taken a step.
        UserError: no run there.
    """
    return _read(folder)[0]


def _read(folder: RunFolder) -> tuple[RunFacts, Chain]:
    ledger = Ledger.open(folder.ledger_file)
    chain = folder.read_chain()
    if not any(entry.state == "done" or entry.steps for entry in (*ledger.stages, *ledger.individual)):
        raise NothingToShow(
            "no stage of this run is done yet",
            where=str(folder.path),
            mend="wait for one; until then `compt train` shows how far it is",
        )
    cost = plan_chain(chain, ledger.training_samples)
    pairs = list(zip(ledger.stages, chain.stages, cost.stages))
    stages = [_stage(folder, entry, config, planned, planned.steps) for entry, config, planned in pairs]
    facts = RunFacts(
        name=chain.name,
        path=without_credentials(str(folder.path)),
        chain_text=public_chain(chain),
        stages=stages,
        individual=_individual(folder, chain, ledger, cost, stages),
        cost=cost,
        starts=read_starts(folder.path),
        finetuned=all(entry.growth == FINETUNED for entry in ledger.stages),
    )
    return facts, chain


def public_chain(chain: Chain) -> str:
    """The resolved chain file as YAML, URLs without user, password and query."""
    return write_yaml(public(chain.model_dump(mode="json")))


def _stage(
    folder: RunFolder, entry: StageEntry, config: StageConfig, planned: StageCost, steps: int
) -> StageFacts:
    place = folder.stage(entry)
    student, teacher = entry.macs - entry.teacher_macs, entry.teacher_macs
    if entry.state != "done" and entry.growth != FINETUNED:
        student = planned.student_macs * entry.steps // planned.steps
        taught = min(entry.steps, planned.teacher_steps)
        teacher = planned.teacher_macs * taught // max(1, planned.teacher_steps)
    return StageFacts(
        name=entry.name,
        folder=entry.folder,
        model=entry.model,
        state=_state(folder, entry),
        epochs=entry.epochs,
        parameters=entry.parameters or planned.parameters,
        steps=entry.steps,
        planned_steps=steps,
        student_macs=student,
        teacher_macs=teacher,
        seconds=entry.seconds,
        growth=entry.growth,
        metrics=entry.metrics,
        grown_metrics=entry.grown_metrics,
        error=entry.error,
        tasks=read_tasks(place),
        curves=read_curves(place, config.train.global_batch),
        events=read_events(place),
        bad_count=entry.bad_samples,
        bad_samples=read_bad_samples(place),
    )


def _state(folder: RunFolder, entry: StageEntry) -> str:
    """The ledger's, which still says "running" of a stage that was stopped: then nobody drives any more."""
    if entry.state == "running" and read_driver(folder.path) is None:
        return "stopped"
    return entry.state


def _individual(
    folder: RunFolder, chain: Chain, ledger: Ledger, cost: ChainCost, stages: Sequence[StageFacts]
) -> list[StageFacts]:
    own = {stage.folder: stage for stage in stages}
    batch = chain.stages[0].train.global_batch
    steps = stage_steps(individual_epochs(chain), ledger.training_samples, batch)
    return [
        own.get(entry.folder) or _stage(folder, entry, chain.stages[0], planned, steps)
        for entry, planned in zip(ledger.individual, cost.stages)
    ]


def _section(folder: RunFolder, no_examples: str | None) -> Section:
    """A run's section; `no_examples` says why its examples are not wanted, None: they are."""
    run, chain = _read(folder)
    if no_examples is not None:
        return Section(run, None, no_examples)
    done = [stage for stage in run.stages if stage.done]
    if not done:
        return Section(run, None, "no stage of the chain is done yet.")
    try:
        examples = _examples(folder, chain, done[-1])
    # Pictures are an extra: whatever keeps them away is said in their place.
    except Exception as error:
        reason = error.message if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return Section(run, None, f"they could not be made ({reason}).")
    if examples is None:
        return Section(run, None, "there is no validation split with two different captions.")
    return Section(run, examples)


def _examples(folder: RunFolder, chain: Chain, stage: StageFacts) -> Examples | None:
    import torch

    from ray_compt.data import make_preprocess, open_index
    from ray_compt.models import load_preprocess, make_tokenizer, open_pretrained

    if chain.data.val is None:
        return None
    index = open_index(chain.data.val, chain.data, folder.index)
    path = folder.path / stage.folder
    model, config = open_pretrained(str(path))
    stored = load_preprocess(path)
    preprocess = make_preprocess(chain.data, config, seed=chain.seed, mean=stored["mean"], std=stored["std"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    seen = embed_examples(model.to(device), index, preprocess, make_tokenizer(config), device=device)
    return None if seen is None else choose_examples(seen, stage.name)
