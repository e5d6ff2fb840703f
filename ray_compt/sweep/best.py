"""The winner of a sweep as a chain file that says where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date

from ray_compt.chain.folder import RunFolder
from ray_compt.config import dump_chain
from ray_compt.config.schema import Chain
from ray_compt.errors import UserError
from ray_compt.plan.table import format_count
from ray_compt.report.published import without_credentials
from ray_compt.storage import Place
from ray_compt.sweep.choice import choose
from ray_compt.sweep.record import SweepRecord, TrialRecord
from ray_compt.sweep.scores import score


def winning_trial(record: SweepRecord, number: int | None = None) -> TrialRecord:
    """The trial to repeat: number `number`, or the winner's with the first seed.

    Not its luckiest seed: the candidate won by its mean, and the next training draws its own luck.

    Raises:
        UserError: there is no such trial, it is not done, or no candidate does what is sought.
    """
    if number is not None:
        return _asked_for(record, number)
    choice = choose(score(record.trials, record.objective), record.objective)
    if choice.winner is None:
        raise UserError(
            f"no winner: {choice.words}",
            where=record.name,
            mend="let the sweep go on, change its objective, or choose a trial with --trial N",
        )
    return choice.winner.trials[0]


def read_trial_chain(sweep: Place, trial: TrialRecord) -> Chain:
    """The resolved chain that a trial was trained with. Raises UserError: its run folder lacks it or it is damaged."""
    folder = sweep
    for part in filter(None, trial.run.split("/")):
        folder = folder / part
    run = RunFolder(folder)
    if not run.chain_file.is_file():
        raise UserError(
            f"the chain file of trial {trial.number} is not here",
            where=str(run.chain_file),
            mend="restore the trial's run folder, or choose another with --trial N",
        )
    return run.read_chain()


def chain_text(record: SweepRecord, trial: TrialRecord, chain: Chain) -> str:
    """A chain file that `load_chain` reads back to `chain`, with its provenance as comments.

    Args:
        record: the sweep.
        trial: of it.
        chain: what the trial was trained with.
    """
    # A line break of any kind would end the comment, and YAML takes no other control character either.
    lines = (
        "".join(sign if sign.isprintable() else " " for sign in line) for line in provenance(record, trial)
    )
    return "".join(f"# {line}\n" for line in lines) + "#\n" + dump_chain(chain)


def provenance(record: SweepRecord, trial: TrialRecord) -> Iterator[str]:
    """Where a chain comes from, an entry a line."""
    siblings = [other for other in record.trials if other.candidate == trial.candidate]
    yield f"Trial {trial.number} of the sweep {record.name}, which sought {record.objective.words()}."
    yield f"candidate: {trial.candidate}, of {len({other.candidate for other in record.trials})}"
    yield f"chain: {' -> '.join(trial.chain)}"
    for key, value in trial.values.items():
        yield f"{key}: {json.dumps(value, ensure_ascii=False)}"
    yield f"seed: {trial.seed}"
    for key, value in trial.metrics.items():
        yield f"reached {key}: {value:.6g}{_others(siblings, key)}"
    yield f"cost: {format_count(trial.macs)} MACs, {trial.seconds:.0f} s"
    yield f"date: {record.started[:10] or date.today().isoformat()}"
    if record.versions:
        yield "versions: " + ", ".join(f"{name} {version}" for name, version in record.versions.items())
    if record.command:
        yield f"command: {without_credentials(record.command)}"


def _asked_for(record: SweepRecord, number: int) -> TrialRecord:
    found = next((trial for trial in record.trials if trial.number == number), None)
    if found is None:
        last = max((trial.number for trial in record.trials), default=None)
        mend = "wait for one" if last is None else f"give a number from 0 to {last}"
        raise UserError(f"no trial {number}", where=record.name, mend=mend)
    if found.state != "done":
        raise UserError(
            f"trial {number} is {found.state}",
            where=record.name,
            mend="choose one that is done, or wait for it",
        )
    return found


def _others(siblings: list[TrialRecord], key: str) -> str:
    """The mean over seeds, where there are several."""
    values = [trial.metrics[key] for trial in siblings if trial.state == "done" and key in trial.metrics]
    if len(values) < 2:
        return ""
    return f" (mean of {len(values)} seeds: {sum(values) / len(values):.6g})"
