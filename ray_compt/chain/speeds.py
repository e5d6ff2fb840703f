"""How fast the finished stages of a run trained, for `plan.cluster`; the run folder is only read."""

from __future__ import annotations

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.config.schema import Chain, StageConfig
from ray_compt.models import model_config, model_name
from ray_compt.plan.cluster.measured import FinishedStage
from ray_compt.report.html.read import read_events

STARTED = "started"


def read_speeds(folder: RunFolder) -> list[FinishedStage]:
    """Every finished stage, and every model alone, that trained with one number of workers from start to end.

    Stages that were taken from a store are left out: nothing of them was trained here.

    Raises:
        UserError: no run there, or a ledger or chain file that cannot be read.
    """
    ledger = Ledger.open(folder.ledger_file)
    chain = folder.read_chain()
    by_model = {model_name(stage.model): stage for stage in chain.stages}
    entries = {entry.folder: entry for entry in (*ledger.stages, *ledger.individual)}
    found = []
    for entry in entries.values():
        stage = by_model.get(entry.model)
        if entry.state == "done" and not entry.reused and entry.samples_per_second > 0 and stage is not None:
            found += _speed(folder, chain, stage, entry)
    return found


def _speed(folder: RunFolder, chain: Chain, stage: StageConfig, entry: StageEntry) -> list[FinishedStage]:
    """One, or none where its workers changed or are not known."""
    events = read_events(folder.stage(entry))
    workers = {event.values.get("workers") for event in events if event.kind == STARTED}
    if len(workers) != 1:
        return []
    number = workers.pop()
    if not isinstance(number, int) or number < 1:
        return []
    inside = entry.teacher_macs / entry.samples if entry.teacher == "inline" and entry.samples else 0.0
    return [
        FinishedStage(
            stage=stage,
            config=model_config(stage.model, chain.data.image_size),
            parameters=entry.parameters,
            captions=chain.data.captions_per_image,
            workers=number,
            step_s=stage.train.global_batch / entry.samples_per_second,
            start_s=max(0.0, entry.seconds - entry.samples / entry.samples_per_second),
            teacher_macs=inside,
        )
    ]
