"""Which keys of the space mattered for the metric: functional ANOVA over the candidates that count, by Optuna.

Hutter, Hoos and Leyton-Brown (2014), "An efficient approach for assessing hyperparameter importance": a random forest
predicts the metric, and a key's importance is its share of the prediction's variance over the whole space. Optuna's
own default, PED-ANOVA, asks which keys lead into the best tenth, and needs some fifty candidates to say so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_compt.sweep.scores import Score

FEWEST = 8
# Candidates that each key needs.
A_KEY = 2
# The composition, beside the keys of the space.
CHAIN = "chain"
# A number with more values than this is an axis, with fewer a choice.
CHOICES = 5
SEED = 0
TREES = 64


@dataclass(frozen=True)
class Importance:
    """The outcome.

    Attributes:
        shares: by key, largest first, together 1; empty where nothing can be said.
        words: what they rest on, or why there are none.
    """

    shares: Mapping[str, float]
    words: str


def importance(scores: Sequence[Score]) -> Importance:
    """Importance of every key that all candidates have and that differs, the composition being one, `chain`."""
    counted = [score for score in scores if score.counts]
    table = parameters(counted)
    if not table:
        return Importance({}, "Nothing differs between the candidates that count.")
    fewest = max(FEWEST, A_KEY * len(table))
    if len(counted) < fewest:
        have = f"{len(counted)} candidate{'' if len(counted) == 1 else 's'}"
        return Importance({}, f"Too few to say: {have} with all trials done, {fewest} are needed.")
    metrics = [score.metric for score in counted]
    if max(metrics) == min(metrics):
        return Importance({}, "The metric is the same for all candidates.")
    return Importance(_fanova(table, metrics), f"From {len(counted)} candidates.")


def parameters(scores: Sequence[Score]) -> dict[str, list[Any]]:
    """What fANOVA is given, a value a candidate: numbers for axes, texts for choices.

    A positive number that spans a factor of ten or more is taken by its logarithm, as such keys are searched.
    """
    if not scores:
        return {}
    shared = [key for key in scores[0].values if all(key in score.values for score in scores)]
    found = {CHAIN: _choice([" → ".join(score.chain) for score in scores])}
    found |= {key: _axis([score.values[key] for score in scores]) for key in shared}
    return {key: values for key, values in found.items() if len(set(values)) > 1}


def _axis(values: list[Any]) -> list[Any]:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if not numbers or len(set(values)) <= CHOICES:
        return _choice(values)
    if min(values) > 0 and max(values) >= 10 * min(values):
        return [math.log10(value) for value in values]
    return [float(value) for value in values]


def _choice(values: list[Any]) -> list[str]:
    return [value if isinstance(value, str) else json.dumps(value, sort_keys=True) for value in values]


def _fanova(table: Mapping[str, list[Any]], metrics: Sequence[float]) -> dict[str, float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    spaces = {key: _distribution(values) for key, values in table.items()}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study()
        for number, metric in enumerate(metrics):
            chosen = {key: values[number] for key, values in table.items()}
            study.add_trial(optuna.trial.create_trial(params=chosen, distributions=spaces, value=metric))
        forest = FanovaImportanceEvaluator(n_trees=TREES, seed=SEED)
        found = get_param_importances(study, evaluator=forest)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {key: float(share) for key, share in sorted(found.items(), key=lambda pair: -pair[1])}


def _distribution(values: Sequence[Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(values[0], str):
        return CategoricalDistribution(sorted(set(values)))
    return FloatDistribution(min(values), max(values))
