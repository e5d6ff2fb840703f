"""A task of a suite made ready: its data opened, its classes found, before any model is there.

Whatever is wrong with a task shows here, so that a chain knows before it trains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ray_compt.config.schema import DataConfig
from ray_compt.config.suite_file import IMAGENET
from ray_compt.config.suite_keys import PROBES, TaskConfig
from ray_compt.data import Index, open_index
from ray_compt.errors import UserError
from ray_compt.evaluate.classes import Classes, find_classes, imagenet_templates
from ray_compt.evaluate.corruptions import Corruption
from ray_compt.evaluate.embed import Split, View
from ray_compt.storage import Place

# A data set's samples, by how it is named and which fields are read.
OpenIndex = Callable[[str | list[str], DataConfig], Index]


@dataclass(frozen=True)
class Task:
    """What is measured; small and picklable.

    Attributes:
        config: as in the suite file.
        data: the pictures to measure on.
        train: the labelled pictures of a probe.
        classes: of zero-shot classification and probes.
        templates: prompts of zero-shot classification.
        seed: the suite's.
    """

    config: TaskConfig
    data: Split
    train: Split | None
    classes: Classes | None
    templates: tuple[str, ...]
    seed: int

    @property
    def view(self) -> View:
        return View(self.data)

    @property
    def corrupted(self) -> dict[str, View]:
        """The data with each corruption, by its name."""
        severity = self.config.severity
        return {
            name: View(self.data, Corruption(name, severity, self.seed)) for name in self.config.corruptions
        }

    @property
    def splits(self) -> list[Split]:
        return [self.data, self.train] if self.train else [self.data]

    @property
    def views(self) -> list[View]:
        train = [View(self.train)] if self.train else []
        return [self.view, *self.corrupted.values(), *train]


def prepare_task(config: TaskConfig, seed: int, open_data: OpenIndex) -> Task:
    """Open a task's data and find its classes.

    Raises:
        UserError: data that cannot be read, no classes, or names that do not fit them.
    """
    where = f"task {config.name}"
    data = _split(config.data, config, None, open_data)
    train = _split(config.train, config, config.train_samples, open_data) if config.train else None
    classes = None
    if config.kind == "zero_shot":
        classes = find_classes(config.classes, data.index.class_names, where)
    elif config.kind in PROBES and train is not None:
        if not data.index.class_names:
            find_classes(None, [], where)
        classes = _probe_classes(train.index.class_names, data.index.class_names, f"{where}: train")
    templates = imagenet_templates() if config.templates == IMAGENET else list(config.templates)
    return Task(config, data, train, classes, tuple(templates), seed)


class OpenOnce:
    """Opens each data set once; its index is kept under `cache`."""

    def __init__(self, cache: Place | Path | str):
        self._cache = cache
        self._known: dict[tuple[str, str, str | None], Index] = {}

    def __call__(self, spec: str | list[str], data: DataConfig) -> Index:
        key = _key(spec, data)
        if key not in self._known:
            self._known[key] = open_index(spec, data, self._cache)
        return self._known[key]

    def add(self, spec: str | list[str], data: DataConfig, index: Index) -> None:
        """Take an index that is open already."""
        self._known[_key(spec, data)] = index


def _key(spec: str | list[str], data: DataConfig) -> tuple[str, str, str | None]:
    return data_name(spec), data.caption_field, data.class_field


def data_name(spec: str | list[str]) -> str:
    """How a data set was named, in one text."""
    return spec if isinstance(spec, str) else ", ".join(spec)


def _split(spec: str | list[str], config: TaskConfig, samples: int | None, open_data: OpenIndex) -> Split:
    fields = DataConfig(train=spec, caption_field=config.caption_field, class_field=config.class_field)
    index = open_data(spec, fields)
    return Split(data_name(spec), (config.caption_field, config.class_field), samples, index)


def _probe_classes(train: list[str], test: list[str], where: str) -> Classes:
    """The training pictures' classes, and behind them those that only the others have, which no probe can name."""
    find_classes(None, train, where)
    labels = [*train, *(label for label in test if label not in train)]
    return Classes(tuple(train), {label: number for number, label in enumerate(labels)})


def check_some_known(labels: list[int], where: str) -> None:
    """Refuse a task none of whose pictures has a class that counts."""
    if not labels:
        raise UserError(
            "no picture that can be read has a class",
            where=where,
            mend="name the JSON field with class_field",
        )
