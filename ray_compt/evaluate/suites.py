"""Which tasks a suite stands for: the one place where `--suite` and `evaluate.suite` are decided.

| suite | tasks |
|---|---|
| none | zero-shot classification and retrieval on the validation split |
| `core` | these, linear probe and k-NN, as far as the data have classes and a training split |
| a file | those of the first row, where there is a validation split, and the file's |

A further suite by name is a branch in `open_suite`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_compt.config.schema import DataConfig
from ray_compt.config.suite_file import load_suite
from ray_compt.config.suite_keys import Kind, SuiteConfig, TaskConfig
from ray_compt.errors import UserError
from ray_compt.evaluate.embed import View
from ray_compt.evaluate.result import RETRIEVAL, ZERO_SHOT
from ray_compt.evaluate.tasks import OpenIndex, Task, prepare_task
from ray_compt.evaluate.texts import check_templates

CORE = "core"
STANDARD = "standard"
CORE_PROBES: tuple[Kind, ...] = ("linear_probe", "knn")
# Pictures that the core suite's probes learn from: enough to compare models by, whatever the size of the data.
CORE_TRAINING_PICTURES = 50_000


@dataclass(frozen=True)
class Suite:
    """Tasks that are ready to be measured.

    Attributes:
        name: of the suite.
        seed: of everything random in it.
        tasks: with their data opened.
        notes: what was left out, and why; for people.
    """

    name: str
    seed: int
    tasks: tuple[Task, ...]
    notes: tuple[str, ...] = ()

    @property
    def views(self) -> list[View]:
        """All that the tasks look at, each once."""
        return list(dict.fromkeys(view for task in self.tasks for view in task.views))

    @property
    def pictures(self) -> int:
        """How many pictures that is."""
        return sum(view.split.size for view in self.views)


def open_suite(choice: str | None, data: DataConfig, train: bool, open_data: OpenIndex) -> Suite:
    """The suite that was chosen, with its data opened.

    Args:
        choice: None, `core`, or the path of a suite file.
        data: the run's data; `val` may be absent.
        train: whether `data.train` is there for probes.
        open_data: opens data sets; by way of it a chain's own indexes are used again.

    Raises:
        UserError: no such file, a mistake in it, or data that do not fit a task.
    """
    config = check_suite(choice, data)
    if config is None:
        return _own(choice or STANDARD, data, train and choice == CORE, open_data)
    standard = _own(STANDARD, data, False, open_data)
    own = tuple(prepare_task(task, config.seed, open_data) for task in config.tasks)
    return Suite(config.name, config.seed, (*standard.tasks, *own), standard.notes)


def check_suite(choice: str | None, data: DataConfig) -> SuiteConfig | None:
    """All that can be said of a choice before any data are opened; the content of a suite file.

    Raises:
        UserError: as `open_suite`.
    """
    if choice is None:
        return None
    if choice == CORE:
        if not data.val:
            raise UserError(
                "the core suite is measured on the validation split, and there is none",
                where="suite core",
                mend="name shards in data.val, or with --data",
            )
        return None
    config = load_suite(choice)
    for task in config.tasks:
        if task.name in (ZERO_SHOT, RETRIEVAL):
            raise UserError(
                f"{task.name} is the name of a task on the validation split",
                where=choice,
                mend="give the task another name",
            )
    return config


def _own(name: str, data: DataConfig, probes: bool, open_data: OpenIndex) -> Suite:
    """The tasks on a run's own validation split."""
    if not data.val:
        return Suite(name, 0, ())
    index = open_data(data.val, data)
    configs, notes = [_config(RETRIEVAL, "retrieval", data)], []
    if len(index.class_names) > 1:
        templates = check_templates(data.class_templates, "data.class_templates")
        configs.insert(0, _config(ZERO_SHOT, "zero_shot", data, templates=templates))
        if probes:
            learning = {"train": data.train, "train_samples": CORE_TRAINING_PICTURES}
            configs += [_config(kind, kind, data, **learning) for kind in CORE_PROBES]
    elif index.class_names:
        notes.append(f"all pictures are of one class ({index.class_names[0]}): no accuracy")
    return Suite(name, 0, tuple(prepare_task(config, 0, open_data) for config in configs), tuple(notes))


def _config(name: str, kind: Kind, data: DataConfig, **keys: Any) -> TaskConfig:
    # The same fields for all, so that the pictures are read and embedded once.
    return TaskConfig(
        name=name,
        kind=kind,
        data=data.val or "",
        caption_field=data.caption_field,
        class_field=data.class_field,
        **keys,
    )
