"""Chains from what was measured: learning curves of sizes, what stages keep, and the best chains for a budget.

`measure` -> `fit` -> `predict` or `propose_for_budget`, `propose_for_target`. Mathematics alone: numpy and scipy, no
files; run folders are read by `chain/measured.py`. Another form of curve: curves.py, its parameters' priors: fit.py.
"""

from __future__ import annotations

from ray_compt.plan.design.fit import Fit, fit
from ray_compt.plan.design.observations import Finished, Measured, Observation, Stage, format_path, measure
from ray_compt.plan.design.predict import INTERVAL, Prediction, predict
from ray_compt.plan.design.propose import Proposal, propose_for_budget, propose_for_target
from ray_compt.plan.design.rules import Check, check_rules

__all__ = [
    "INTERVAL",
    "Check",
    "Finished",
    "Fit",
    "Measured",
    "Observation",
    "Prediction",
    "Proposal",
    "Stage",
    "check_rules",
    "fit",
    "format_path",
    "measure",
    "predict",
    "propose_for_budget",
    "propose_for_target",
]
