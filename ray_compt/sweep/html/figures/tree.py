"""The tree of chains: a stage's height is what it and all that follows it cost; those that trials share stand once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ray_compt.plan.table import format_count
from ray_compt.report.html.figures.style import BLUE, GREEN, GREY, figure, text
from ray_compt.report.terminal import plural
from ray_compt.sweep.prefixes import SharedStage

ROW_PX = 26
LEAST_PX, MOST_PX = 240, 1600
# Of the sweep itself; a stage's is its hash.
ROOT = "sweep"


@dataclass(frozen=True)
class _Box:
    """One box of the plot."""

    identity: str
    parent: str
    label: str
    macs: int
    colour: str
    shown: str


def tree(roots: Sequence[SharedStage], name: str) -> go.Figure | None:
    """None where no stage has cost anything yet.

    Args:
        roots: of the forest of stages.
        name: of the sweep, from which all chains begin.
    """
    boxes = list(_boxes(roots, ROOT))
    if not any(box.macs for box in boxes):
        return None
    leaves = len(boxes) - len({box.parent for box in boxes} - {ROOT})
    whole = _Box(ROOT, "", name, 0, GREY, f"{format_count(sum(box.macs for box in boxes))} MACs")
    found = figure(min(MOST_PX, max(LEAST_PX, ROW_PX * (leaves + 2))))
    boxes = [whole, *boxes]
    found.add_trace(
        go.Icicle(
            ids=[box.identity for box in boxes],
            parents=[box.parent for box in boxes],
            labels=[text(box.label) for box in boxes],
            values=[box.macs for box in boxes],
            branchvalues="remainder",
            tiling={"orientation": "h"},
            marker={"colors": [box.colour for box in boxes]},
            customdata=[text(box.shown) for box in boxes],
            texttemplate="%{label}<br>%{customdata}",
            hovertemplate="%{label}<br>%{customdata}<extra></extra>",
            sort=False,
        )
    )
    found.update_layout(margin={"l": 0, "r": 0, "t": 8, "b": 0})
    return found


def _boxes(nodes: Sequence[SharedStage], parent: str) -> Iterator[_Box]:
    for node in nodes:
        shown = f"{format_count(node.stage.macs)} MACs, {plural(len(node.trials), 'trial')}"
        if node.saved:
            shown += f", {format_count(node.saved)} saved"
        colour = GREY if not node.paid else GREEN if node.saved else BLUE
        yield _Box(node.stage.key, parent, node.stage.name, node.stage.macs, colour, shown)
        yield from _boxes(node.children, node.stage.key)
