"""How much each key mattered, as bars."""

from __future__ import annotations

import plotly.graph_objects as go

from ray_compt.report.html.figures.style import BLUE, figure, text
from ray_compt.sweep.importance import Importance

BAR_PX = 34


def importance_bars(found: Importance) -> go.Figure | None:
    """None where nothing can be said."""
    if not found.shares:
        return None
    keys = list(found.shares)[::-1]
    drawn = figure(110 + BAR_PX * len(keys))
    drawn.add_bar(
        x=[found.shares[key] for key in keys],
        y=[text(key) for key in keys],
        orientation="h",
        marker={"color": BLUE},
        texttemplate="%{x:.0%}",
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    drawn.update_xaxes(title_text="share of the metric's variance", tickformat=".0%", rangemode="tozero")
    return drawn
