"""Texts that are no chain file at all: the error names the line and what to look for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import GOOD, bend, case, check_error, with_data, with_train

INDENTATION = "check indentation (spaces, no tabs), colons, brackets and quotes"


@pytest.mark.parametrize(
    "text, line, message, mend",
    [
        case("", 1, "a mapping of keys, found nothing", "begin with name:", id="empty"),
        case("# hello\n", 1, "a mapping of keys, found nothing", "begin with name:", id="comments"),
        case("- name: x\n", 1, "a mapping of keys, found no mapping", "begin with name:", id="list"),
        case("name: x\ndata: {train: a\n\n", 2, "malformed YAML", INDENTATION, id="open bracket"),
        case("name: x\ndata: 'a\nseed: 3\n", 2, "malformed YAML", INDENTATION, id="open quote"),
        case("name: x\ndata:\n\ttrain: a\n", 3, "malformed YAML", INDENTATION, id="tab"),
        case("name: x\ndata:\n  train: a\n lanes: 3\n", 4, "malformed YAML", INDENTATION, id="indentation"),
        case("name: x\ndata: a: b\n", 2, "malformed YAML", INDENTATION, id="two colons"),
        case("name: x\n---\nname: y\n", 2, "malformed YAML", INDENTATION, id="two documents"),
        case("name: *other\n", 1, "malformed YAML", INDENTATION, id="unknown alias"),
        case("name: \x00\n", 1, "malformed YAML", "plain UTF-8", id="control character"),
        case("name: " + "[" * 1200, 1, "nested too deeply", "a few levels", id="nesting"),
        case(with_data("  val: &a [x, *a]"), 4, "a YAML alias", "write the value out", id="recursive alias"),
        case(with_data("  4: 4"), 4, "4 is no key", "write a name before the colon", id="number as key"),
        case(with_data("  ? [a]\n  : 4"), 4, "is no key", "write a name before the colon", id="list as key"),
        case(
            with_train("  lr: 1e-3\n  lr: 1e-4"), 8, "the key lr is written twice", "keep one", id="key twice"
        ),
        case(
            bend("name: small", "name: !!python/object/apply:os.system [ls]"),
            1,
            "the YAML tag !!python/object/apply:os.system",
            "a chain file needs none",
            id="tag",
        ),
        case(with_data("  val: !mine a"), 4, "the YAML tag !mine", "remove it", id="own tag"),
        case(GOOD + "seed: " + "9" * 5000, 17, "cannot be read as a number", "write it plainly", id="digits"),
        case(GOOD + "seed: !!int many", 17, "many cannot be read as a number", "plainly", id="tagged text"),
    ],
)
def test_no_chain_file(tmp_path: Path, text: str, line: int, message: str, mend: str):
    check_error(tmp_path, text, line, message, mend)


def test_a_tag_runs_nothing(tmp_path: Path):
    made = tmp_path / "made"
    text = bend("name: small", f"name: !!python/object/apply:os.mkdir ['{made}']")
    check_error(tmp_path, text, 1, "YAML tag", "remove it")
    assert not made.exists()
