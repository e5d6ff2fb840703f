"""What Ray says of nodes and of failures, in words for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_MISSING = re.compile(r"(?:ModuleNotFoundError|ImportError|AttributeError): ([^\n]+)")


def name_nodes(nodes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Names for people of `ray.nodes()`, by id."""
    listed = list(nodes)
    addresses = [node["NodeManagerAddress"] for node in listed]
    names = {}
    for node in listed:
        address, host = node["NodeManagerAddress"], node.get("NodeManagerHostname") or ""
        details = [host] if host and host != address else []
        if addresses.count(address) > 1:
            details.append(f"node {node['NodeID'][:8]}")
        names[node["NodeID"]] = f"{address} ({', '.join(details)})" if details else address
    return names


def cannot_import(text: str) -> str | None:
    """What Ray's error says could not be imported; None where that was not it."""
    missing = _MISSING.findall(text)
    return missing[-1] if missing else None


def last_line(text: str) -> str:
    """Of Ray's error, where it names the exception."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
