"""Suite files and the data of their tasks, given to `compt eval` and `compt train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray_compt.config.yaml_io import write_yaml
from tests.bad_input.place import CLUSTER, Place
from tests.bad_input.row import Chapter, Row
from tests.shards import make_shards

DIGITS = "builtin:digits/val"


def _suite(at: Place, **task: Any) -> Path:
    """Write a suite of one task: zero-shot on the digits, with changes."""
    content = {"name": "try", "kind": "zero_shot", "data": DIGITS, **task}
    return at.write("suite.yaml", write_yaml({"name": "mine", "tasks": [content]}))


def _eval(name: str, title: str, place: str, *says: str, **task: Any) -> Row:
    """`compt eval` of a good model by a suite with a wrong task."""
    return Row(
        f"suite-{name}", title, lambda at: ["eval", at.model(), "--suite", _suite(at, **task)], place, says
    )


def _text(name: str, title: str, text: str, place: str, *says: str) -> Row:
    return Row(
        f"suite-{name}",
        title,
        lambda at: ["eval", at.model(), "--suite", at.write("suite.yaml", text)],
        place,
        says,
    )


def _foreign_captions(at: Place) -> list[str | Path]:
    """Captions that differ only beyond the ten tokens of the model's context."""
    folder = at.folder / "pictures"
    for number in ("ერთი", "ორი"):
        file = folder / f"ლამაზი სურათი {number}" / "0.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(_picture())
    return ["eval", at.model(), "--suite", _suite(at, data=f"folder:{folder}", templates=["{}"])]


def _picture() -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(buffer, "PNG")
    return buffer.getvalue()


def _one_class(at: Place) -> list[str | Path]:
    shards = make_shards(at.folder / "s", 1, size=8, classes=("cat",))
    return ["eval", at.model(), "--suite", _suite(at, data=str(shards[0]), class_field="category")]


FILES = Chapter(
    "Suite files",
    "`--suite FILE` and `evaluate.suite` are checked like a chain file, before any model is opened or trained.",
    (
        Row(
            "suite-nothing",
            "A suite that is not there",
            lambda at: ["eval", at.model(), "--suite", "cire"],
            "cire",
            ("no such suite file", "core"),
        ),
        _text("empty", "An empty suite file", "", "suite.yaml:1", "a suite file is a mapping"),
        _text("no-tasks", "A suite without tasks", "name: x\n", "suite.yaml:1", "tasks: missing"),
        _text("yaml", "A suite that is no YAML", "name: x\ntasks: [", "suite.yaml:2", "malformed YAML"),
        _eval("key", "An unknown key of a task", "suite.yaml:6", "did you mean class_field?", clas_field="x"),
        _eval("kind", "An unknown kind", "suite.yaml:4", "one of zero_shot, retrieval", kind="zeroshot"),
        _eval("foreign", "A key that the kind does not read", "suite.yaml:6", "write kind: knn", k=5),
        _eval("train", "A probe without training pictures", "suite.yaml:3", "learn from", kind="knn"),
        _eval("no-classes", "No names of classes", "suite.yaml:6", "names no classes", classes=[]),
        _eval("one-name", "One name of a class", "suite.yaml:6", "decides nothing", classes=["cat"]),
        _eval("gap", "A prompt without a place for the class", "suite.yaml:6", "write {}", templates=["a"]),
        _eval("file", "A file of names that is not there", "suite.yaml:6", "no file", classes="names.txt"),
        Row(
            "suite-chain",
            "A chain whose suite is not there",
            lambda at: at.train("--smoke", evaluate={"suite": "nowhere.yaml"}),
            "nowhere.yaml",
            ("no such suite file",),
        ),
    ),
)

TASKS = Chapter(
    "Suites and their data",
    "Data of a chain's suite are opened before it trains, so that nothing is trained for an evaluation that cannot be.",
    (
        Row(
            "suite-core",
            "The core suite of a model without data",
            lambda at: ["eval", at.model(), "--suite", "core"],
            "--data",
            ("no shards to evaluate on",),
        ),
        Row(
            "suite-one-class",
            "Pictures of one class",
            _one_class,
            "task try",
            ("its data have one class (cat)",),
        ),
        _eval(
            "fit",
            "Names that do not fit the data",
            "task try",
            "3 names do not fit the data's 10 classes",
            classes=["cat", "dog", "fox"],
        ),
        Row(
            "suite-folder",
            "A folder that is not there",
            lambda at: ["eval", at.model(), "--suite", _suite(at, data=f"folder:{at.folder / 'nowhere'}")],
            "nowhere",
            ("no such folder",),
        ),
        _eval(
            "torchvision",
            "A data set that torchvision does not have",
            "torchvision:CIFAR11",
            "did you mean CIFAR10",
            data="torchvision:CIFAR11/test?root=x",
        ),
        _eval(
            "root",
            "A data set without its place",
            "torchvision:CIFAR10/test",
            "?root=FOLDER",
            data="torchvision:CIFAR10/test",
        ),
        Row(
            "suite-script",
            "Texts that the tokenizer cannot tell apart",
            _foreign_captions,
            "task try",
            ("the same 10 tokens",),
        ),
        Row(
            "suite-cluster",
            "A cluster that is not there to evaluate on",
            lambda at: ["eval", at.model(), "--data", DIGITS, "--address", "127.0.0.1:9"],
            "address 127.0.0.1:9",
            ("no Ray cluster answers",),
        ),
        Row(
            "suite-chain-data",
            "A chain whose suite has no data",
            lambda at: at.train(
                "--address",
                CLUSTER,
                evaluate={"suite": str(_suite(at, data=f"folder:{at.folder / 'nowhere'}"))},
            ),
            "nowhere",
            ("no such folder",),
            ray=True,
        ),
    ),
)
