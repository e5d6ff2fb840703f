"""Evaluation of models: suites of tasks, the pure metrics they are made of, and `evaluate_model` on one split.

`evaluate.clip_benchmark`, imported by whoever wants it, runs the optional clip_benchmark instead.

Reads `models` and `data`; must not import `train`, `chain` or `cli`, and only `cluster.py` imports Ray. Import it
inside functions where start-up time matters: it brings torch. `suites.py` says which tasks a suite has, `measure.py`
what each kind of task does.
"""

from ray_compt.evaluate.embed import Here
from ray_compt.evaluate.embedder import Embedder
from ray_compt.evaluate.metrics import image_to_text, ranks, text_to_image
from ray_compt.evaluate.result import scalars
from ray_compt.evaluate.run import evaluate_model, logit_scale, run_suite
from ray_compt.evaluate.suites import Suite, open_suite
from ray_compt.evaluate.tasks import OpenOnce

__all__ = [
    "Embedder",
    "Here",
    "OpenOnce",
    "Suite",
    "evaluate_model",
    "image_to_text",
    "logit_scale",
    "open_suite",
    "ranks",
    "run_suite",
    "scalars",
    "text_to_image",
]
