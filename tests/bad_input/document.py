"""`docs/errors.md`, written from the catalogue and from what the program really says.

    python -m tests.bad_input.document > docs/errors.md

It makes every mistake once. The test of each row compares its message with the committed page, and another
compares the rest of the page with the catalogue; so the page cannot say what the program does not.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bad_input.catalogue import CHAPTERS, ROWS
from tests.bad_input.row import Row
from tests.bad_input.run import Outcome, run_row, running_ray

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
# Longer ones are cut in the page, as in "name=[[[[ ...".
LONGEST_LINE = 240

INTRODUCTION = """\
# What goes wrong, and what it says

<!-- Written by `python -m tests.bad_input.document > docs/errors.md`; do not edit by hand. -->

Every mistake gets one message on standard error, with the place, the cause and the mend, no traceback, and an exit
code; what was trained before keeps every byte. This page shows {rows} mistakes with their real messages: each is a row
of `tests/bad_input/`, made and checked by one test, which also compares it with this page.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | training stopped and could not go on by itself; the same command goes on from what is kept |
| 2 | a mistake that you can mend; all on this page |
| 70 | a mistake of ours: please report it with the traceback that `-v` shows |
| 130 / 143 | stopped by Ctrl-C / SIGTERM |

Files lie in the working folder here: `chain.yaml` is the chain file, `run` a run folder whose first stage is done,
`model` a stage's folder, `CLUSTER` the address of a running Ray. Very long lines are cut.
"""


def shown(outcome: Outcome) -> str:
    """The command and its message, as the page has them."""
    return "\n".join(_cut(line) for line in [f"$ {outcome.command}", *outcome.message.splitlines()])


def page(messages: Mapping[str, str]) -> str:
    """The page, given what each row's command says (`shown`), by the row's name."""
    return INTRODUCTION.format(rows=len(ROWS)) + "\n".join(_lines(messages))


def read_page(text: str) -> dict[str, str]:
    """What each row's command says in a page, by the row's name."""
    pattern = re.compile(r'^### [^\n]*<a id="([^"]+)"></a>\n\n```\n(.*?)\n```$', re.MULTILINE | re.DOTALL)
    return dict(pattern.findall(text))


def _lines(messages: Mapping[str, str]) -> Iterator[str]:
    for chapter in CHAPTERS:
        yield from ("", f"## {chapter.title}", "", chapter.text, "")
        for row in chapter.rows:
            yield from (f'### {row.title} <a id="{row.name}"></a>', "", "```")
            yield from (messages.get(row.name, ""), "```", "")
            if row.code != 2:
                yield from (f"Exit code {row.code}.", "")


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 4]} ..."


def _say(row: Row, cluster: str) -> str:
    with tempfile.TemporaryDirectory(prefix="bad-input-") as folder:
        return shown(run_row(row, Path(folder), cluster))


if __name__ == "__main__":
    with running_ray() as address:
        said = {row.name: _say(row, address) for row in ROWS}
    print(page(said), end="")
