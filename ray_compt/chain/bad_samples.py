"""The samples of a stage that could not be used: one line each in bad_samples.jsonl, each named once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from ray_compt.data import BadSample
from ray_compt.storage import Place

NAME = "bad_samples.jsonl"


class BadSamples:
    """The list of one stage; opening it again goes on with what it holds.

    Attributes:
        count: samples that it stands for.
    """

    def __init__(self, folder: Place, found_while_indexing: Iterable[BadSample]):
        self._copy = folder.working_copy(NAME)
        self._path = self._copy.path / NAME
        self._known: set[tuple[str, str]] = set()
        self.count = 0
        self._recall()
        for bad in found_while_indexing:
            self.add(bad)
        self.store()

    def add(self, bad: BadSample) -> bool:
        """Note a sample; False where it is known already."""
        if (bad.shard, bad.key) in self._known:
            return False
        self._note(bad)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(bad)) + "\n")
        return True

    def store(self) -> None:
        """Bring what was added to an object store; on a disk it is there already."""
        self._copy.push()

    def _recall(self) -> None:
        """Take in what is on disk. A line that a crash cut in half is dropped: its sample is found again."""
        if not self._path.exists():
            return
        lines = self._path.read_text(errors="replace").splitlines(keepends=True)
        for line in lines:
            try:
                self._note(BadSample(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        if lines and not lines[-1].endswith("\n"):
            with self._path.open("a") as file:
                file.write("\n")

    def _note(self, bad: BadSample) -> None:
        self._known.add((bad.shard, bad.key))
        self.count += bad.count
