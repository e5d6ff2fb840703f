"""Chain files that cannot be read, or not as a chain file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from ray_compt.config.yaml_io import write_yaml
from tests.bad_input.place import Place, chain
from tests.bad_input.row import Chapter, Row

GOOD = write_yaml(chain())


def _text(name: str, title: str, content: str | bytes, place: str, *says: str, **more: object) -> Row:
    return Row(name, title, lambda at: at.train_text(content), place, says, **more)


def _runs_a_program(at: Place) -> list[str | Path]:
    harm = at.folder / "harm"
    return at.train_text(f'name: !!python/object/apply:os.system ["touch {harm}"]\n{GOOD}')


def _billion_values() -> str:
    letters = "abcdefghi"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise(letters)]
    return "\n".join(lines) + "\n" + GOOD


CHAPTER = Chapter(
    "Chain files: the text",
    "Read as safe YAML 1.2, from which nothing is constructed but texts, numbers, true, false, null, lists and "
    "mappings.",
    (
        Row(
            "chain-missing",
            "No such file",
            lambda at: ["train", at.folder / "nowhere.yaml", "--run-dir", at.run],
            "nowhere.yaml",
            ("no such chain file", "digits"),
        ),
        Row(
            "chain-misspelt",
            "A shipped chain's name, misspelt",
            lambda at: ["check", "digit"],
            "digit",
            ("did you mean digits?",),
        ),
        Row("chain-folder", "A folder", lambda at: ["check", at.run], "run", ("a folder, no chain file",)),
        Row("chain-no-name", "An empty name", lambda at: ["check", ""], "FILE", ("no such chain file",)),
        _text("chain-empty", "An empty file", "", "chain.yaml:1", "found nothing"),
        _text(
            "chain-latin-1",
            "Another encoding than UTF-8",
            "name: café\n".encode("latin-1"),
            "chain.yaml",
            "UTF-8",
        ),
        _text("chain-binary", "Binary junk", bytes(range(256)) * 16, "chain.yaml", "is no text"),
        _text(
            "chain-control",
            "Control characters",
            b"name: \x00\x01\n",
            "chain.yaml:1",
            "unacceptable character",
        ),
        _text("chain-large", "A file far too large", "# x\n" * 60_000, "chain.yaml:1", "longer than 200,000"),
        _text(
            "chain-bracket",
            "A bracket that is never closed",
            "name: x\ndata: [1, 2\n",
            "chain.yaml:2",
            "malformed YAML",
        ),
        _text(
            "chain-tab", "A tab for indentation", "name: x\ndata:\n\ttrain: a\n", "chain.yaml:3", "no tabs"
        ),
        _text("chain-list", "A list at the top", "- name: x\n", "chain.yaml:1", "a mapping of keys"),
        _text(
            "chain-two",
            "Two documents in one file",
            f"name: x\n---\n{GOOD}",
            "chain.yaml:2",
            "another document",
        ),
        _text(
            "chain-twice", "A key that is written twice", f"seed: 1\nseed: 2\n{GOOD}", "chain.yaml:2", "twice"
        ),
        _text("chain-number-key", "A number for a key", f"1: x\n{GOOD}", "chain.yaml:1", "1 is no key"),
        _text(
            "chain-deep", "Brackets nested 1,000 deep", "name: " + "[" * 1000, "chain.yaml:1", "too deeply"
        ),
        _text(
            "chain-digits",
            "A number of 5,000 digits",
            GOOD.replace("global_batch: 64", "global_batch: " + "9" * 5000),
            "chain.yaml:8",
            "cannot be read as a number",
        ),
        Row(
            "chain-tag",
            "A tag that would run a program",
            _runs_a_program,
            "chain.yaml:1",
            ("the YAML tag !!python/object/apply:os.system",),
            harmless="harm",
        ),
        _text(
            "chain-bomb",
            "Aliases that unfold to hundreds of millions of values",
            _billion_values(),
            "chain.yaml:1",
            "a YAML alias",
        ),
    ),
)
