"""Runs and wishes, given to `compt design`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.storage import open_place
from tests.bad_input.place import Place
from tests.bad_input.row import Chapter, Row

SAMPLES = 1000
FORWARD = {"ViT-T-16": 1e6, "ViT-S-16": 3e6, "ViT-L-16": 1e7}
METRIC = "image_to_text_r1"


def _entry(model: str, epochs: float, reached: float, teacher: str | None, **changes: Any) -> StageEntry:
    taught = int(SAMPLES * epochs * FORWARD[teacher]) if teacher else 0
    given = {
        "samples": int(SAMPLES * epochs),
        "macs": int(3 * SAMPLES * epochs * FORWARD[model]) + taught,
        "data": "abc",
        "metrics": {METRIC: reached, "loss": 2.0},
    }
    return StageEntry(
        name=model.split("-")[1].lower(),
        folder=f"01-{model}",
        model=model,
        epochs=epochs,
        state="done",
        teacher_macs=taught,
        growth="lossless" if teacher else "scratch",
        distill_weight=2.0 if teacher else 0.0,
        **{**given, **changes},
    )


def _measured(at: Place, name: str, first: float, later: float, **changes: Any) -> Path:
    """The run folder of the chain T S L, trained for so many epochs; only its ledger counts."""
    models = list(FORWARD)
    stages = [
        _entry(model, later if teacher else first, reached, teacher, **changes)
        for model, teacher, reached in zip(models, [None, *models], (0.45, 0.5, 0.56))
    ]
    folder = at.folder / name
    folder.mkdir()
    Ledger(open_place(folder / "ledger.json"), name, stages, [], SAMPLES).save()
    return folder


def _runs(at: Place, **changes: Any) -> list[str | Path]:
    return [_measured(at, "one", 80, 10, **changes), _measured(at, "two", 160, 20, **changes)]


def _design(name: str, title: str, options: str, place: str, *says: str) -> Row:
    """`compt design` of good runs with options in words."""
    return Row(f"design-{name}", title, lambda at: ["design", *_runs(at), *options.split()], place, says)


def _other_data(at: Place) -> list[str | Path]:
    return ["design", *_runs(at), _measured(at, "three", 40, 5, data="xyz"), "--budget", "1T"]


def _other_cost(at: Place) -> list[str | Path]:
    return ["design", *_runs(at), _measured(at, "three", 40, 5, macs=10**12), "--budget", "1T"]


def _write(at: Place, target: str) -> list[str | Path]:
    return ["design", *_runs(at), "--budget", "2T", "--write", target]


DESIGNS = Chapter(
    "Designs",
    "`compt design` reads the ledgers of finished runs; `one` and `two` are runs of a chain of T, S and L here.",
    (
        _design("aim", "Neither budget nor target", "", "compt design", "--budget or --target"),
        _design("aims", "A budget and a target", "--budget 1T --target 0.5", "compt design", "either"),
        _design("budget", "A budget that is no number", "--budget lots", "--budget", "lots is no budget"),
        _design("budget-zero", "A budget of nothing", "--budget 0", "--budget", "0 is no budget"),
        _design(
            "budget-small",
            "A budget below the cheapest chain",
            "--budget 1k",
            "--budget",
            "less than the cheapest chain that ends with ViT-L-16 takes",
        ),
        _design(
            "budget-share",
            "A share of a model that was not trained alone",
            "--budget 50%",
            "--budget",
            "ViT-L-16 alone, which was not trained alone",
        ),
        _design(
            "target", "A target that is no fraction", "--target 63", "--target", "no metric between 0 and 1"
        ),
        _design("target-high", "A target out of reach", "--target 0.99", "--target", "the best reaches"),
        _design("size", "A size that was not trained", "--budget 1T --sizes T,B", "--sizes", "of size B"),
        _design("sizes", "No size", "--budget 1T --sizes ,", "--sizes", "no size"),
        _design("size-part", "A size that may be any", "--budget 1T --sizes ViT", "--sizes", "ViT may be"),
        _design("end", "An end that was not trained", "--budget 1T --end XL", "--end", "of size XL"),
        _design("metric", "A metric that no stage has", "--budget 1T --metric top1", "--metric", METRIC),
        _design(
            "fraction", "A metric that is no fraction", "--budget 1T --metric loss", "--metric", "no fraction"
        ),
        _design("best", "No chain", "--budget 1T --best 0", "compt design", "--best"),
        Row(
            "design-nothing",
            "A design from a folder that is no run",
            lambda at: ["design", at.model(), "--budget", "1T"],
            "model/ledger.json",
            ("no ledger here",),
        ),
        Row(
            "design-early",
            "A design from a run without an evaluated stage",
            lambda at: ["design", at.run, "--budget", "1T"],
            "compt design",
            ("no stage of these runs is finished and evaluated",),
        ),
        Row(
            "design-data", "Runs on different data", _other_data, "three", ("trained on other data than one",)
        ),
        Row("design-cost", "Runs whose models differ", _other_cost, "three", ("MACs a sample here and",)),
        Row(
            "design-sweep",
            "A design from a sweep whose record is damaged",
            lambda at: ["design", at.write("sweep/sweep.json", "{").parent, "--budget", "1T"],
            "sweep/sweep.json",
            ("the sweep cannot be read",),
        ),
        Row(
            "design-name",
            "A sweep file with a name that no sweep may have",
            lambda at: _write(at, "my sweep.yaml"),
            "--write my sweep.yaml",
            ("no name of a sweep file",),
        ),
        Row(
            "design-out",
            "A sweep file below a file",
            lambda at: _write(at, str(at.write("file", "x") / "mine.yaml")),
            "file/mine.yaml",
            ("the sweep file cannot be written",),
        ),
        Row(
            "design-chain",
            "A sweep file of a chain without the sizes",
            lambda at: [*_write(at, "mine.yaml"), "--chain", at.chain()],
            "chain.yaml",
            ("no chain file here has stages of all of",),
        ),
    ),
)
