"""Which nodes answer now: Ray's control store names a dead one alive for some seconds more."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

CONNECT_S = 1.0
_AT_ONCE = 32


def answering(nodes: Iterable[Mapping[str, Any]], timeout_s: float = CONNECT_S) -> list[Mapping[str, Any]]:
    """Those of `ray.nodes()` that are alive and whose raylet takes a connection within `timeout_s` seconds."""
    alive = [node for node in nodes if node["Alive"]]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda node: _answers(node, timeout_s), alive)
        return [node for node, answers in zip(alive, found) if answers]


def _answers(node: Mapping[str, Any], timeout_s: float) -> bool:
    address = node["NodeManagerAddress"], node["NodeManagerPort"]
    try:
        socket.create_connection(address, timeout=timeout_s).close()
    except OSError:
        return False
    return True
