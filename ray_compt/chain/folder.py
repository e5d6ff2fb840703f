"""The run folder: what lies where, and whether a chain file may go on in it.

runs/NAME/
  chain.yaml              the resolved configuration
  ledger.json             what every stage cost and reached
  driver.json             who trains here now; empty where nobody does
  environment.json        versions, machines and command of every start
  tracking.json           its identities in experiment trackers, where asked for
  report.html             the run to look at, made whenever `compt train` ends
  index/                  the shards' indexes and their list
  01-ViT-T-16/            a stage
    initial/              grown weights (and moments, where carried), until the stage is done
    checkpoints/          Ray Train's, for resume
    model.safetensors     the trained model, with open_clip_config.json and checksums.json
    evaluation.json       what was measured on it
    README.md             its model card
    metrics.jsonl         one line a step; tensorboard/ shows the same
    bad_samples.jsonl     samples that could not be used
  individual/01-.../      the same models alone, where asked for
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.lock import only_driver
from ray_compt.config import compare_chains, dump_chain, load_chain
from ray_compt.config.schema import Chain
from ray_compt.errors import UserError, written
from ray_compt.models import model_name
from ray_compt.plan.cost import individual_epochs
from ray_compt.storage import Place, is_url, open_place

# Above the folders of the models trained alone.
INDIVIDUAL = "individual/"


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run.

    Attributes:
        path: the run folder: an absolute path, or a URL.
    """

    path: Place

    @property
    def chain_file(self) -> Place:
        return self.path / "chain.yaml"

    @property
    def ledger_file(self) -> Place:
        return self.path / "ledger.json"

    @property
    def index(self) -> Place:
        return self.path / "index"

    def stage(self, entry: StageEntry) -> Place:
        return self.path / entry.folder

    def read_chain(self) -> Chain:
        """The stored chain file. Raises UserError: it is absent or damaged."""
        if not self.chain_file.is_file():
            return load_chain(str(self.chain_file))
        with self.chain_file.local() as file:
            return load_chain(file)


def run_place(run_dir: str) -> Place:
    """The place of a folder that workers use; a path is made absolute, because their working directories differ."""
    return open_place(run_dir if is_url(run_dir) else Path(run_dir.removeprefix("file://")).absolute())


@contextmanager
def open_run(run_dir: str, chain: Chain) -> Iterator[tuple[RunFolder, Ledger]]:
    """Create a run folder, or open one to go on, and keep other drivers out of it meanwhile.

    Raises:
        UserError: the folder cannot be written, another driver trains there, or it holds finished stages that
            the chain file contradicts.
    """
    folder = RunFolder(run_place(run_dir))
    make_writable(folder.path)
    with only_driver(folder.path):
        yield folder, _open_ledger(folder, chain)


def _open_ledger(folder: RunFolder, chain: Chain) -> Ledger:
    if folder.ledger_file.is_file() or folder.ledger_file.is_folder():
        ledger = Ledger.open(folder.ledger_file)
        _refuse_changes(folder, ledger, chain)
        ledger.stages = _entries(chain, ledger.stages)
        if ledger.individual:
            ledger.individual = _individual_entries(chain, ledger.stages, ledger.individual)
    else:
        ledger = Ledger(folder.ledger_file, chain.name, _entries(chain, []), [])
    folder.chain_file.write_text(dump_chain(chain))
    ledger.save()
    return ledger


def add_individuals(ledger: Ledger, chain: Chain) -> None:
    """Give every model of the family an entry as a model trained alone."""
    ledger.individual = _individual_entries(chain, ledger.stages, ledger.individual)
    ledger.save()


def _entries(chain: Chain, known: list[StageEntry]) -> list[StageEntry]:
    """Entries of all stages, keeping those that are known."""
    kept = {entry.folder: entry for entry in known}
    entries = [
        StageEntry(stage.name, f"{number:02d}-{stage.name}", model_name(stage.model), stage.epochs)
        for number, stage in enumerate(chain.stages, start=1)
    ]
    return [kept.get(entry.folder, entry) for entry in entries]


def _individual_entries(chain: Chain, stages: list[StageEntry], known: list[StageEntry]) -> list[StageEntry]:
    """Entries of the models trained alone; the first is the chain's own first stage where both are the same."""
    kept = {entry.folder: entry for entry in known}
    epochs = individual_epochs(chain)
    entries = [StageEntry(stage.name, f"{INDIVIDUAL}{stage.folder}", stage.model, epochs) for stage in stages]
    entries = [kept.get(entry.folder, entry) for entry in entries]
    first = chain.stages[0]
    same_warmup = chain.individual.warmup_steps in (None, first.train.warmup_steps)
    taught = first.transfer.distill.teachers or first.transfer.init
    if epochs == first.epochs and same_warmup and not taught:
        entries[0] = stages[0]
    return entries


def _refuse_changes(folder: RunFolder, ledger: Ledger, chain: Chain) -> None:
    done = {number for number, entry in enumerate(ledger.stages) if entry.state == "done"}
    if not done:
        return
    stored = folder.read_chain()
    changes = [difference for difference in compare_chains(stored, chain) if _touches(difference.path, done)]
    if changes:
        listed = "; ".join(f"{change.path}: {change.old!r} -> {change.new!r}" for change in changes[:5])
        raise UserError(
            f"the chain file differs from the one that finished stages were trained with ({listed})",
            where=str(folder.chain_file),
            mend="undo the change, or give another --run-dir",
        )


def _touches(path: str, done: set[int]) -> bool:
    """Whether a changed key has a part in finished stages: what is shared, and the stages' own keys."""
    parts = path.split(".")
    if parts[0] == "stages":
        # On how many workers a stage ran, and how much at once, leaves no trace in its result.
        own = len(parts) < 3 or (
            parts[2] not in ("workers", "teacher") and parts[3:] not in (["micro_batch"], ["max_bad_steps"])
        )
        return own and (len(parts) < 2 or not parts[1].isdigit() or int(parts[1]) in done)
    return parts[0] in ("seed", "data") and path not in (
        "data.reader_cpus",
        "data.max_bad_share",
        "data.samples",
    )


def make_writable(path: Place, what: str = "the run folder", option: str = "--run-dir") -> None:
    """Make a folder, and try to write in it.

    Args:
        what, option: how messages call it, and where it was given.

    Raises:
        UserError: it cannot be written.
    """
    probe = path / ".writable"
    with written(what, where=str(path), mend=f"give another {option}"):
        probe.write_bytes(b"")
        probe.remove()


def refuse_chains_folder(place: Place) -> None:
    """Raise UserError where a chain was trained: what wants the folder for itself would replace its ledger."""
    if RunFolder(place).ledger_file.is_file():
        raise UserError("this is the run folder of a chain", where=str(place), mend="give another --run-dir")
