"""A suite file: its defaults, its mistakes with line and mend, and the files that it points to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ray_compt.config.suite_file import load_suite
from ray_compt.config.suite_keys import SuiteConfig, TaskConfig
from ray_compt.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"
GOOD = """\
name: mine
tasks:
  - name: digits
    kind: zero_shot
    data: builtin:digits/val
"""


def _load(folder: Path, text: str) -> SuiteConfig:
    file = folder / "suite.yaml"
    file.write_text(text, encoding="utf-8")
    return load_suite(file)


def _task(*lines: str, kind: str = "zero_shot") -> str:
    return GOOD.replace("zero_shot", kind) + "".join(f"    {line}\n" for line in lines)


def test_a_short_one_has_every_default(tmp_path):
    (task,) = _load(tmp_path, GOOD).tasks
    assert (task.templates, task.classes, task.captions) == (["a photo of a {}."], None, 1)


@pytest.mark.parametrize(
    "text, line, message, mend",
    [
        (GOOD.replace("kind", "kid"), 4, "tasks.0.kid: unknown key", "did you mean kind?"),
        (GOOD + "sede: 1\n", 6, "sede: unknown key", "did you mean seed?"),
        (_task("tasks: 1"), 6, "tasks.0.tasks: unknown key", "use one of"),
        (GOOD.replace("zero_shot", "zeroshot"), 4, "one of zero_shot, retrieval", "kind"),
        ("name: x\ntasks: []\n", 2, "tasks: expected a list of sections, not empty", "tasks"),
        ("tasks:\n  - 5\n", 2, "a section with name, kind and data, found 5", "builtin:digits/val"),
        (_task("classes: []"), 6, "names no classes", "or imagenet"),
        (_task("classes: [cat]"), 6, "one class ('cat') decides nothing", "two classes"),
        (_task("classes: {a: cat, b: ''}"), 6, "names no classes", "each class"),
        (_task("templates: [photo]"), 6, "the prompt 'photo' has no place for the class", "write {}"),
        (_task("templates: nowhere.txt"), 6, "tasks.0.templates: no file", "give the path"),
        (_task("k: 3"), 6, "a zero_shot task does not read it", "write kind: knn"),
        (_task("train: a", kind="retrieval"), 6, "a retrieval task does not read it", "linear_probe or knn"),
        (_task(kind="knn"), 3, "knn needs labelled pictures to learn from", "add train"),
        (_task("train: a", "shots: [0, 1]", kind="few_shot"), 7, "no numbers of pictures", "from 1 on"),
        (_task("corruptions: [fog]"), 6, "a list of gaussian_noise, blur, brightness, jpeg", "corruptions"),
        (_task("severity: 6"), 6, "1 or more and at most 5, found 6", "severity"),
        (GOOD.replace("builtin:digits/val", '""'), 5, "names no data", "folder:PATH"),
        (GOOD + GOOD.partition("tasks:\n")[2], 6, "another task is called digits too", "its own name"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, text, line, message, mend):
    with pytest.raises(UserError) as caught:
        _load(tmp_path, text)
    shown = str(caught.value)
    assert f"suite.yaml:{line}: " in shown
    assert message in shown and mend in shown


def test_names_and_prompts_come_from_files_beside_it(tmp_path):
    (tmp_path / "names.txt").write_text("\ufeffcat\n\n dog \n", encoding="utf-8")
    (tmp_path / "prompts.yaml").write_text('- "a {}"\n- "{}"\n')
    (task,) = _load(tmp_path, _task("classes: names.txt", "templates: prompts.yaml")).tasks
    assert (task.classes, task.templates) == (["cat", "dog"], ["a {}", "{}"])
    (tmp_path / "names.json").write_text('{"n01": "cat", "n02": "dog"}')
    (task,) = _load(tmp_path, _task("classes: names.json", "templates: imagenet")).tasks
    assert (task.classes, task.templates) == ({"n01": "cat", "n02": "dog"}, "imagenet")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("n.txt", b"", "names no classes"),
        ("n.txt", b"cat", "one class"),
        ("n.txt", b"\xff\xfe\x00", "is no text"),
        ("n.yaml", b"- 1\n- 2\n", "holds no list of texts"),
        ("n.yaml", b"[", "malformed YAML"),
        ("n.json", b"5", "holds no list of texts"),
    ],
)
def test_a_file_of_names_that_is_none_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        _load(tmp_path, _task(f"classes: {name}"))
    assert name in str(caught.value.where) and message in caught.value.message


@pytest.mark.parametrize("text", ["", "[]", "5"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(UserError, match="a suite file is a mapping of keys"):
        _load(tmp_path, text)


def test_the_page_has_a_row_for_every_key_and_an_example_that_loads(tmp_path):
    page = PAGE.read_text()
    for key, field in TaskConfig.model_fields.items():
        assert f"| `{key}` | {field.description} |" in page, key
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example and len(_load(tmp_path, example[1]).tasks) > 3
