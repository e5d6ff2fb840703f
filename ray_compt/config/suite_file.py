"""A suite file becomes a `SuiteConfig`: read, validated, and the files of names and prompts that it points to taken in.

What a suite file may say is in `suite_keys.py`. Whoever gets the result needs no file beside it, so that it travels
to any node of a cluster.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from ray_compt.config.load import read_text, read_tree
from ray_compt.config.problems import problems_of, unite
from ray_compt.config.suite_keys import SuiteConfig, TaskConfig, check_class_names, check_templates
from ray_compt.config.tree import Node, dotted
from ray_compt.config.yaml_io import LARGEST_TEXT, read_yaml
from ray_compt.errors import UserError

IMAGENET = "imagenet"
_YAML = (".yaml", ".yml", ".json")


def load_suite(file: str | Path) -> SuiteConfig:
    """Read and validate a suite file; files of class names and prompts are looked for beside it.

    Raises:
        UserError: with file and line, cause and mend; several problems become one error.
    """
    path = Path(file)
    if not path.is_file():
        raise UserError(
            "no such suite file",
            where=str(file),
            mend="give the path of a YAML file, core, or for `compt eval` clip_benchmark",
        )
    tree = read_tree(path, "a suite file", "begin with name: and tasks:", "docs/evaluation.md")
    try:
        suite = SuiteConfig.model_validate(tree.plain())
    except ValidationError as error:
        raise unite(problems_of(error, tree, SuiteConfig), str(path)) from None
    tasks = [_with_files(task, tree, number, path.parent) for number, task in enumerate(suite.tasks)]
    return suite.model_copy(update={"tasks": tasks})


def _with_files(task: TaskConfig, tree: Node, number: int, folder: Path) -> TaskConfig:
    """The task with its class names and prompts in place; `imagenet` stays a word."""
    found: dict[str, Any] = {}
    keys: dict[str, Callable[[Any], None]] = {"classes": check_class_names, "templates": check_templates}
    for key, check in keys.items():
        value = getattr(task, key)
        if not isinstance(value, str) or value == IMAGENET:
            continue
        node = tree.nearest(("tasks", number, key))
        file = folder / value
        content = _read(file, node)
        if not _all_texts(content) or (key == "templates" and isinstance(content, dict)):
            raise UserError(
                "holds no list of texts", where=str(file), mend="write one a line, or a list in YAML"
            )
        try:
            check(content)
        except PydanticCustomError as error:
            context = error.context or {}
            raise UserError(context["message"], where=str(file), mend=context["mend"]) from None
        found[key] = content
    return task.model_copy(update=found)


def _read(file: Path, node: Node) -> Any:
    """A list or mapping from YAML or JSON, or the lines of any other text that are not empty."""
    if not os.path.isfile(file):
        raise UserError(
            f"{dotted(node.path)}: no file {file}",
            where=node.place,
            mend=f"give the path of one from this file's folder, {IMAGENET}, or a list",
        )
    text = read_text(file)
    if file.suffix.lower() in _YAML:
        tree = read_yaml(text, lambda line: f"{file}:{line}")
        return None if tree is None else tree.plain()
    if len(text) > LARGEST_TEXT:
        raise UserError(
            f"longer than {LARGEST_TEXT:,} characters",
            where=str(file),
            mend="check that this is the file you mean",
        )
    return [line.strip() for line in text.splitlines() if line.strip()]


def _all_texts(content: Any) -> bool:
    values = content.values() if isinstance(content, dict) else content
    return isinstance(content, list | dict) and all(isinstance(value, str) for value in values)
