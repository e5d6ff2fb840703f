"""Text of a run made fit for publishing: no credentials, and nothing that Markdown would read as its own."""

from __future__ import annotations

import re
from typing import Any

# A key and its secret before the host; a secret may hold slashes itself.
_USER = re.compile(r"://([^/@\s]*|[^/@:\s]*:[^@\s]*)@")
# Signatures and tokens. Where there are globs, a question mark alone is one.
_QUERY = re.compile(r"[?#&][\w.%-]+=.*", re.DOTALL)
_WEB_QUERY = re.compile(r"[?#].*", re.DOTALL)


def without_credentials(reference: str) -> str:
    """A path as it is; a URL without user, password, query and fragment."""
    if "://" not in reference:
        return reference
    query = _WEB_QUERY if re.search("https?://", reference) else _QUERY
    return query.sub("", _USER.sub("://", reference))


def text_without_credentials(text: str) -> str:
    """Any text with each word that is a URL `without_credentials`."""
    return re.sub(r"\S*://\S*", lambda word: without_credentials(word[0]), text)


def public(value: Any) -> Any:
    """Plain data, such as a chain file's, with every text `without_credentials`."""
    if isinstance(value, dict):
        return {key: public(item) for key, item in value.items()}
    if isinstance(value, list):
        return [public(item) for item in value]
    return without_credentials(value) if isinstance(value, str) else value


def code(text: str) -> str:
    """Any text as Markdown's inline code on one line."""
    line = " ".join(text.split())
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest or not line else ""
    return f"{fence}{pad}{line}{pad}{fence}"
