"""What all plots share: colours that can be told apart on white and on black, and text that is only text."""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go

# After Okabe and Ito (2008), lightened where they would drown on a dark page.
BLUE, ORANGE, GREEN, PURPLE, RED, GREY = "#3b82d6", "#e08a1e", "#1aa37a", "#b07cc6", "#dc4c3e", "#8a8f98"
# One for each run that is compared.
RUNS = (BLUE, ORANGE, GREEN, PURPLE, RED, "#c2a000", "#17a2b8", GREY)


def run_colour(number: int) -> str:
    return RUNS[number % len(RUNS)]


def text(value: object) -> str:
    """Any text as plotly shows it: its pseudo-HTML would otherwise take markup in names for its own."""
    return html.escape(str(value))


def figure(height: int, **layout: Any) -> go.Figure:
    """An empty figure of `height` pixels, as wide as the page."""
    return with_layout(go.Figure(), height, **layout)


def with_layout(found: go.Figure, height: int, **layout: Any) -> go.Figure:
    found.update_layout(
        height=height,
        margin={"l": 64, "r": 16, "t": 36, "b": 48},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        hovermode="closest",
        **layout,
    )
    return found
