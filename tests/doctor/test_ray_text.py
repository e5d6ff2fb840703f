"""Nodes and failures in words for people."""

from __future__ import annotations

from ray_compt.doctor.ray_text import cannot_import, last_line, name_nodes

IMPORT = """ray::look() (pid=7, ip=10.0.0.3)
RuntimeError: The remote function failed to import on the worker:

Traceback (most recent call last):
  File "function_manager.py", line 1, in fetch
ModuleNotFoundError: No module named 'ray_compt'
"""


def _node(id: str, address: str, host: str) -> dict[str, str]:
    return {"NodeID": id * 8, "NodeManagerAddress": address, "NodeManagerHostname": host}


def test_a_node_is_named_by_address_and_host():
    nodes = [_node("a1", "10.0.0.1", "head"), _node("b2", "10.0.0.2", "10.0.0.2")]
    assert list(name_nodes(nodes).values()) == ["10.0.0.1 (head)", "10.0.0.2"]


def test_nodes_of_one_machine_are_told_apart_by_their_ids():
    names = name_nodes([_node("a1", "127.0.0.1", "vm"), _node("b2", "127.0.0.1", "vm")])
    assert names == {
        "a1" * 8: "127.0.0.1 (vm, node a1a1a1a1)",
        "b2" * 8: "127.0.0.1 (vm, node b2b2b2b2)",
    }


def test_what_cannot_be_imported_is_told_from_other_failures():
    assert cannot_import(IMPORT) == "No module named 'ray_compt'"
    assert cannot_import("The node died.") is None


def test_the_last_line_of_a_failure_says_what_it_was():
    assert last_line("one\n  NodeDiedError: gone \n\n") == "NodeDiedError: gone"
    assert last_line("") == "no reason given"
