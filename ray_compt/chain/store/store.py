"""Finished stages, each in a folder named by its key.

STORE/KEY/
  stage.json          {"schema", "identity", "entry"}, sealed and written last: without it the stage is not there
  model.safetensors, open_clip_config.json, checksums.json, evaluation.json, metrics.jsonl, checkpoints/, ...
  driver.json         who trains it now; empty where nobody does
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from ray_compt.chain.ledger import StageEntry
from ray_compt.chain.lock import NAME as LOCK
from ray_compt.chain.lock import HeldElsewhere, only_driver
from ray_compt.chain.store.key import StageKey
from ray_compt.chain.verify_files import check_export
from ray_compt.errors import written
from ray_compt.models.checksums import seal_holds, sealed
from ray_compt.report.card_parts import CARD_FILE
from ray_compt.storage import Place
from ray_compt.storage.copying import copy_folder
from ray_compt.train.disk import explained

RECORD = "stage.json"
SCHEMA = 1
LOOK_AGAIN_S = 1.0
# A card tells of the run that wrote it; the rest is a stage's on the way.
NOT_KEPT = {"initial", "tensorboard", CARD_FILE}
# What an entry says of the chain that it stands in.
OF_THE_RUN = ("name", "folder", "key", "reused", "error")


class StageStore:
    """Finished stages of any number of runs.

    Args:
        place: the store's folder, a path or URL that every run sees.
    """

    def __init__(self, place: Place):
        self._place = place

    def __str__(self) -> str:
        return str(self._place)

    @contextmanager
    def held(self, key: StageKey, waiting: Callable[[HeldElsewhere], None]) -> Iterator[None]:
        """Hold a stage's place while the block runs, after waiting for whoever trains it.

        A holder that dies, however, gives it back: at once on a disk, after a minute in an object store.

        Args:
            waiting: called about once a second while another run holds it; may raise to wait no longer.

        Raises:
            UserError: nothing can be written there.
        """
        place = self._place / key.name
        mend = "give another --store, or make room there"
        with ExitStack() as held:
            while True:
                try:
                    with written("the stage store", where=str(self), mend=mend):
                        place.make()
                        held.enter_context(only_driver(place))
                    break
                except HeldElsewhere as error:
                    waiting(error)
                    time.sleep(LOOK_AGAIN_S)
            yield

    def find(self, key: StageKey) -> dict[str, Any] | None:
        """Fields of a finished stage's entry in the ledger; None where it is not there, or not undamaged."""
        place = self._place / key.name
        try:
            record = json.loads((place / RECORD).read_text())
            whole = isinstance(record, dict) and record.get("schema") == SCHEMA and seal_holds(record)
            entry = record["entry"] if whole else None
        except (FileNotFoundError, ValueError, KeyError, RecursionError):
            return None
        export = check_export(place)
        return entry if entry and export.checked and not export.faults else None

    def take(self, key: StageKey, target: Place) -> None:
        """Copy a finished stage into a stage's folder; whatever an unfinished try has left there goes."""
        target.remove()
        with explained(str(target)):
            copy_folder(self._place / key.name, target, {RECORD, LOCK})

    def keep(self, key: StageKey, stage: Place, entry: Mapping[str, Any]) -> None:
        """Copy a finished stage into the store.

        Args:
            stage: its folder.
            entry: its entry in the ledger.

        Raises:
            TrainingError: there is no room.
        """
        place = self._place / key.name
        kept = {name: value for name, value in entry.items() if name not in OF_THE_RUN}
        document = sealed({"schema": SCHEMA, "identity": dict(key.identity), "entry": kept})
        with explained(str(place)):
            (place / RECORD).remove()
            copy_folder(stage, place, NOT_KEPT)
            (place / RECORD).write_text(json.dumps(document, indent=1) + "\n")


def entry_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of a stored entry this version's ledger knows."""
    known = StageEntry.__dataclass_fields__.keys() - set(OF_THE_RUN)
    return {name: value for name, value in entry.items() if name in known}
