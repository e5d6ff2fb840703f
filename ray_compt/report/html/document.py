"""One HTML file that needs nothing else: no network, no second file.

Everything that was read from runs goes through Jinja2's escaping or into a JSON block; the page's Content-Security-
Policy names its two scripts by their hashes and lets nothing else run, load or connect, so that a caption is never more
than a caption. plotly.js is inlined whole, 4.8 MB: beside a run's models and checkpoints that is nothing, and its
smaller bundles are not in the Python package. Its kinds of plots that need WebGL build code from text, which the policy
refuses: draw in SVG.

A page of another kind is a template that extends `frame.html`, in the `templates` folder of its own package.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import Any

import plotly.graph_objects as go
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ray_compt.errors import written
from ray_compt.plan.table import format_count
from ray_compt.report.terminal import percent
from ray_compt.storage import Place

PACKAGE = "ray_compt.report.html"


class Plots:
    """The figures of a page, each under the id of the element that it is drawn in."""

    def __init__(self) -> None:
        self._figures: dict[str, dict[str, Any]] = {}

    def add(self, name: str, figure: go.Figure | None) -> str | None:
        """The id of the figure's element; None where there is no figure."""
        if figure is None:
            return None
        identity = f"plot-{name}"
        self._figures[identity] = json.loads(str(figure.to_json(validate=False)))
        return identity

    def json(self) -> Markup:
        return json_block(self._figures)


def save_document(text: str, out: Place) -> None:
    """Write the text of an HTML file, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    with written("the report", where=str(out), mend="give --out FILE, on a disk with room"):
        out.write_text(text)


def write_document(package: str, template: str, plots: Plots, /, **shown: Any) -> str:
    """The text of an HTML file.

    Args:
        package: whose `templates` folder holds the template.
        template: its name; it extends `frame.html`, which wants `title` and `version`.
        plots: the figures that `shown` names by their ids.
        shown: what the template shows.
    """
    script, library = Markup(_asset("report.js")), Markup(get_plotlyjs())
    return (
        _environment(package)
        .get_template(template)
        .render(
            **shown,
            figures=plots.json(),
            style=Markup(_asset("report.css")),
            script=script,
            plotly=library,
            policy=_policy(script, library),
        )
    )


def json_block(value: Any) -> Markup:
    """A value for a `<script type="application/json">`: nothing in it can end the element or open a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _policy(*scripts: str) -> str:
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _asset(name: str) -> str:
    return resources.files(PACKAGE).joinpath("templates", name).read_text(encoding="utf-8")


def _environment(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, PACKAGE))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = format_count
    environment.filters["percent"] = percent
    return environment
