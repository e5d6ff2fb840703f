"""Feature space: holding a stage's embeddings near its frozen teachers'.

`resolve_distill` (how strongly, pure), `choose_teachers` (who teaches), `loss.py` (the formulas). Must not import
train, chain, evaluate or cli; the teachers are served by the room `teacher`.
"""

from ray_compt.distill.settings import DistillPlan, resolve_distill

__all__ = ["DistillPlan", "resolve_distill"]
