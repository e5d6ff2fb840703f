"""Findings: nodes with the same problem share a line, and the line becomes an error for people."""

from __future__ import annotations

import pytest

from ray_compt.doctor.finding import Finding, Problem, named, together

LOST = Problem("wrong", "/runs is not there", "mount it")
SLOW = Problem("warn", "a slow disk", "wait")


def test_nodes_with_the_same_problem_share_a_line_and_the_worst_comes_first():
    found = together("paths", [("a", SLOW), ("b", LOST), ("c", LOST), ("b", SLOW)], "all is well")
    assert [(one.state, one.nodes) for one in found] == [("wrong", ("b", "c")), ("warn", ("a", "b"))]
    assert found[0].text == "b, c: /runs is not there"


def test_without_a_problem_all_is_well():
    assert together("paths", [], "seen everywhere") == [Finding("paths", "ok", "seen everywhere")]


@pytest.mark.parametrize(
    "count, text", [(1, "n0"), (3, "n0, n1, n2"), (4, "n0, n1, n2 and 1 more"), (9, "n0, n1, n2 and 6 more")]
)
def test_a_large_cluster_gets_a_short_line(count: int, text: str):
    assert named([f"n{number}" for number in range(count)]) == text


def test_the_json_names_every_node():
    nodes = tuple(f"n{number}" for number in range(9))
    assert Finding("paths", "wrong", "is not there", "mount it", nodes).to_json() == {
        "name": "paths",
        "state": "wrong",
        "found": "is not there",
        "mend": "mount it",
        "nodes": list(nodes),
    }


def test_an_error_names_node_check_and_mend():
    (finding,) = together("run folder", [("10.0.0.3", LOST)], "")
    assert str(finding.error()) == "10.0.0.3: run folder: /runs is not there\n  mend: mount it"
    assert "2 more are wrong" in finding.error(2).message
