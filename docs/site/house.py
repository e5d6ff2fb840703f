"""A hook of MkDocs: files of the repository that lie outside docs/ are on the site where a page links to them.

In the repository a page writes `../CONTRIBUTING.md`, where GitHub looks for it; on the site that file lies under
`repository/`. Only what is linked comes along, and the pages at the top of the repository.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

FOLDER = "repository/"
AT_THE_TOP = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
FROM_DOCS = re.compile(r"(?<=\]\()\.\./(?=[\w.])")  # [text](../target)
FROM_TOP = re.compile(r"(?<=\]\()(?!docs/|#|\w+:)([\w./-]+)")  # [text](target), which is no page of docs/
TARGET = re.compile(r"[\w./-]+")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages at the top of the repository, and every file outside docs/ that a page links to.

    A target that is missing is left out: MkDocs then says on which page the link is.
    """
    top = Path(config.config_file_path).parent
    wanted = set(AT_THE_TOP)
    for page in files.documentation_pages():
        text = page.content_string
        wanted |= {TARGET.match(text, found.end())[0] for found in FROM_DOCS.finditer(text)}
    for name in AT_THE_TOP:
        wanted |= set(FROM_TOP.findall((top / name).read_text(encoding="utf-8")))
    for name in sorted(wanted):
        if (top / name).is_file():
            files.append(File.generated(config, FOLDER + name, abs_src_path=str(top / name)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Let links lead to where the files lie on the site."""
    if page.file.src_uri.startswith(FOLDER):
        return re.sub(r"(?<=\]\()docs/", "../", markdown)
    return FROM_DOCS.sub(FOLDER, markdown)
