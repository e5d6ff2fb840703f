"""Proposed chains as a sweep file, so that training them tells whether the prediction holds.

    name: design
    chain: ../runs/family/chain.yaml
    chains:
      list:
        - {S: 160, M: 20}
    objective: {metric: image_to_text_r1, mode: max}

A chain of the list names the base chain's stages with their epochs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import Ledger
from ray_compt.config import load_chain
from ray_compt.config.load import find_chain
from ray_compt.config.schema import LONGEST_NAME, NAME_PATTERN
from ray_compt.config.yaml_io import write_yaml
from ray_compt.errors import UserError, written
from ray_compt.models import model_name
from ray_compt.plan.design import Proposal, format_path
from ray_compt.storage import is_url, open_place


def base_chain(
    folders: Sequence[RunFolder], sizes: Sequence[str], file: str | None
) -> tuple[str, dict[str, str]]:
    """A chain file that has stages of all sizes, and the stages' names by their model.

    Args:
        folders: runs, of which the first on this machine's disks that has them all is taken.
        sizes: names of models.
        file: the chain file to take instead; a path, or the bare name of a shipped one.

    Raises:
        UserError: none has them all.
    """
    if file is not None:
        names = {model_name(stage.model): stage.name for stage in load_chain(file).stages}
        choices = [(str(find_chain(file)), names)]
    else:
        here = [folder for folder in folders if not is_url(folder.path)]
        choices = [(str(folder.chain_file), _stage_names(folder)) for folder in here]
    for path, names in choices:
        if all(size in names for size in sizes):
            return path, names
    raise UserError(
        f"no chain file here has stages of all of {', '.join(sizes)}",
        where=file or "--write",
        mend="give --chain FILE, a chain file with a stage of each size",
    )


def write_sweep(
    target: str,
    chain: str,
    names: Mapping[str, str],
    proposals: Sequence[Proposal],
    objective: Mapping[str, Any],
) -> None:
    """Write proposals as a sweep file, whole or not at all.

    Args:
        target: the file; the sweep is called like it.
        chain: path of the base chain.
        names: the base chain's stages by their model.
        objective: as the sweep file has it.

    Raises:
        UserError: the file cannot be written, or its name is none that a sweep may have.
    """
    file = Path(target)
    if not re.match(NAME_PATTERN, file.stem) or len(file.stem) > LONGEST_NAME or is_url(target):
        raise UserError(
            "no name of a sweep file on a disk",
            where=f"--write {target}",
            mend="write for example design.yaml",
        )
    content = {
        "name": file.stem,
        "chain": os.path.relpath(chain, file.absolute().parent),
        "chains": {
            "list": [
                {names[stage.size]: _plain(stage.epochs) for stage in one.prediction.path}
                for one in proposals
            ]
        },
        "objective": dict(objective),
        "search": {"algorithm": "grid", "trials": None},
        "seeds": [0],
    }
    lines = ["# Proposed by `compt design`. What it expects of each chain:"]
    lines += [f"#   {_expectation(one, names)}" for one in proposals]
    with written("the sweep file", where=target, mend="give another"):
        open_place(file).write_text("\n".join(lines) + "\n\n" + write_yaml(content))


def _stage_names(folder: RunFolder) -> dict[str, str]:
    return {entry.model: entry.name for entry in Ledger.open(folder.ledger_file).stages}


def _plain(epochs: float) -> float | int:
    return int(epochs) if epochs == int(epochs) else epochs


def _expectation(proposal: Proposal, names: Mapping[str, str]) -> str:
    found = proposal.prediction
    interval = f"{found.low:.1%} to {found.high:.1%}"
    return f"{format_path(found.path, names)}: {found.metric:.1%} ({interval}), {found.macs:.3g} MACs"
