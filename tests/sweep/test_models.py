"""Sizes and growth of real models, and the names of real metrics. Imports torch."""

from __future__ import annotations

import torch

from ray_compt.config import load_chain
from ray_compt.config.schema import DataConfig, EvaluateConfig
from ray_compt.config.sweep_file import load_sweep, shipped_sweeps
from ray_compt.evaluate.accuracy import classification, judge
from ray_compt.evaluate.measure import Measured
from ray_compt.evaluate.metrics import RECALL_AT
from ray_compt.evaluate.result import TaskResult, scalars
from ray_compt.evaluate.suites import CORE, CORE_PROBES
from ray_compt.sweep.check import check_sweep
from ray_compt.sweep.metrics import metric_names
from ray_compt.sweep.models import measure_models
from tests.sweep.test_shipped import GIVEN, MACS


def test_the_shipped_sweeps_check_with_their_models():
    for name in shipped_sweeps():
        made = check_sweep(load_sweep(name, GIVEN.get(name, ())))
        assert made.models.macs == MACS[name]
        assert not any("cannot be grown" in note for note in made.notes)


def test_growth_refuses_by_operator():
    overrides = ["stages.1.model.vision_cfg.patch_size=8"]
    models = measure_models(load_chain("digits", overrides))
    assert "patch_size differs" in (models.ungrowable(0, 1, "lossless") or "")
    models = measure_models(load_chain("digits"))
    assert "clone needs integer ratios" in (models.ungrowable(0, 1, "clone") or "")
    assert models.ungrowable(0, 1, "auto") is None
    assert models.ungrowable(0, 2, "clone") is None


def test_the_names_of_metrics_are_those_of_an_evaluation():
    features = torch.eye(6)
    judged = judge(lambda rows: rows, features, torch.arange(6), 6)
    recalls = {f"{way}_r{k}": 1.0 for way in ("image_to_text", "text_to_image") for k in RECALL_AT}
    measured = {
        "zero_shot": Measured(classification(judged, calibrated=True)),
        "retrieval": Measured(recalls),
        "linear_probe": Measured(classification(judged, calibrated=True)),
        "knn": Measured(classification(judged, calibrated=False)),
    }
    assert {"zero_shot", "retrieval", *CORE_PROBES} == set(measured)
    results = [
        TaskResult(name, name, {"pictures": 6}, None, one.metrics, {}, {}, {})
        for name, one in measured.items()
    ]
    data = DataConfig(train="builtin:digits/train", val="builtin:digits/val")
    names = metric_names(data, EvaluateConfig(suite=CORE))
    assert set(names) == set(scalars(results)) - {"samples"}
