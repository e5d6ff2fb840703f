"""Opening a sweep's folder: a new record, or that of an earlier start of the same sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ray_compt.chain.environment import command_line
from ray_compt.config.load import read_text
from ray_compt.config.yaml_io import read_yaml, write_yaml
from ray_compt.doctor.versions import package_versions
from ray_compt.errors import UserError
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.plan import SweepPlan
from ray_compt.sweep.record import FILE, SweepRecord, read_record
from ray_compt.sweep.running.folder import SweepFolder
from ray_compt.sweep.running.recorder import now
from ray_compt.sweep.running.same import changed_chain, changed_sweep, published
from ray_compt.train.disk import explained

MOST_NAMED = 5


def open_record(plan: SweepPlan, folder: SweepFolder, command: Sequence[str] | None) -> SweepRecord:
    """The sweep's record so far.

    Args:
        plan: the sweep.
        folder: where it is kept.
        command: program and arguments that asked for it.

    Raises:
        UserError: the folder's sweep was another one, or its record cannot be read.
    """
    text = read_text(plan.loaded.file)
    objective = Objective(**plan.sweep.objective.model_dump())
    if (folder.path / FILE).is_file():
        record = read_record(folder.path / FILE)
        if record.trials:
            _refuse_changes(plan, folder, record, text)
        record = replace(record, text=published(text), objective=objective)
    else:
        line = command_line(command) if command else None
        record = SweepRecord(
            plan.sweep.name, published(text), objective, (), now(), None, package_versions(), line
        )
    with explained(str(folder.path)):
        folder.sweep_file.write_text(text)
        folder.base_file.write_text(write_yaml(plan.loaded.chain_tree.plain()))
    return record


def _refuse_changes(plan: SweepPlan, folder: SweepFolder, record: SweepRecord, text: str) -> None:
    changed = changed_sweep(record.text, text)
    if folder.base_file.is_file():
        base = read_yaml(folder.base_file.read_text(), lambda line: f"{folder.base_file}:{line}")
        before = base.plain() if base is not None else {}
        keys = changed_chain(before, plan.loaded.chain_tree.plain())
        changed += [f"{key} of the base chain" for key in keys]
    if changed:
        more = ["..."] if len(changed) > MOST_NAMED else []
        raise UserError(
            "the sweep in this folder was another one: different are now "
            + ", ".join([*changed[:MOST_NAMED], *more]),
            where=str(folder.path),
            mend="undo the change, or give another --run-dir",
        )
