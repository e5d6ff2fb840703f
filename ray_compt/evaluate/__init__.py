"""Evaluation of one model on one split: `evaluate_model`, and the pure metrics it is made of.

`evaluate.clip_benchmark`, imported by whoever wants it, runs the optional clip_benchmark instead.

Reads `models` and `data`; must not import Ray, `train`, `chain` or `cli`. Import it inside functions where
start-up time matters: it brings torch.
"""

from ray_compt.evaluate.embed import Embedded, embed_split
from ray_compt.evaluate.metrics import image_to_text, ranks, text_to_image, top1
from ray_compt.evaluate.run import evaluate_model

__all__ = [
    "Embedded",
    "embed_split",
    "evaluate_model",
    "image_to_text",
    "ranks",
    "text_to_image",
    "top1",
]
