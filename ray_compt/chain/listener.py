"""What becomes of a stage's events: lines on the terminal, events.jsonl, bad_samples.jsonl and the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ray_compt.chain.bad_samples import BadSamples
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.data import BadSample
from ray_compt.errors import StorageError
from ray_compt.report.board import Event
from ray_compt.report.terminal import StageLines
from ray_compt.report.track import Trackers, prefixed
from ray_compt.storage import JsonLines

LEDGER_INTERVAL_S = 5.0
EVENTS = "events.jsonl"
# These have files of their own, or are only counted.
_ELSEWHERE = ("progress", "bad_sample", "features")


@dataclass
class Listener:
    """Called with each event of one stage.

    Attributes:
        ledger: of the run; gets the stage's progress now and then.
        entry: the stage's entry in it.
        lines: the stage on the terminal.
        bad: its list of bad samples.
        events: its events.jsonl.
        earlier: seconds that earlier runs have spent on the stage.
        started: when this run began with it, by the monotonic clock.
        trackers: get the scalars of the last step of each report of progress.
        costs: the ledger's fields of cost after so many steps, and so many features of teachers with a cache.
    """

    ledger: Ledger
    entry: StageEntry
    lines: StageLines
    bad: BadSamples
    events: JsonLines
    earlier: float
    started: float
    trackers: Trackers = field(default_factory=Trackers)
    costs: Callable[[int, int], dict[str, int]] = lambda steps, features: {}
    _last: Event | None = None
    _saved: float = field(default_factory=time.monotonic)
    _features: int = 0
    _said: set[str] = field(default_factory=set)

    @property
    def features(self) -> int:
        """Samples whose features the teacher has computed beside a cache, in earlier runs too."""
        return self.entry.teacher_samples + self._features

    def __call__(self, event: Event) -> None:
        values = event.values
        if event.kind not in _ELSEWHERE:
            self.events.append({"time": event.time, "event": event.kind, **values})
        if event.kind == "started":
            self.lines.started(values["workers"], values["step"])
        elif event.kind == "progress":
            rate = samples_per_second(values["samples"], values["seconds"])
            self._last = event
            self.lines.progress(values["step"], values["loss"], rate)
            self.trackers.log(self.entry.folder, values["step"], prefixed("train", values["scalars"]))
            self._save()
        elif event.kind == "resize":
            self.lines.resize(values["from"], values["to"], values["reason"])
        elif event.kind == "failure":
            self.lines.failure(values["reason"], values["number"], values["allowed"], values["counted"])
        elif event.kind == "features":
            self._features += values["computed"]
        elif event.kind == "note":
            self._note(values["text"], once=values.get("once", False))
        elif event.kind == "bad_sample" and self.bad.add(BadSample(**values)):
            self.lines.bad_sample(values["key"], values["reason"])

    def store(self) -> None:
        """Bring the stage's files to an object store, and how far the stage came into the ledger.

        Raises:
            StorageError: the store does not take them.
        """
        self.bad.store()
        self.events.store()
        if self._last is not None:
            self._update(self._last.values)

    def _note(self, text: str, once: bool) -> None:
        """Pass a line on; one that every worker may send is shown once."""
        if not once or text not in self._said:
            self.lines.note(text)
        if once:
            self._said.add(text)

    def _save(self) -> None:
        if time.monotonic() - self._saved < LEDGER_INTERVAL_S:
            return
        self._saved = time.monotonic()
        try:
            self.store()
        except StorageError as error:
            # The workers train on; what could not be stored now is stored with the next update.
            self.lines.note(f"{error.where}: {error.message}")

    def _update(self, values: dict[str, Any]) -> None:
        self.ledger.update(
            self.entry,
            steps=values["step"],
            samples=values["samples"],
            seconds=round(self.earlier + time.monotonic() - self.started, 1),
            samples_per_second=samples_per_second(values["samples"], values["seconds"]),
            bad_samples=self.bad.count,
            teacher_samples=self.features,
            **self.costs(values["step"], self.features),
        )


def samples_per_second(samples: int, seconds: float) -> float:
    return round(samples / seconds, 1) if seconds > 0 else 0.0
