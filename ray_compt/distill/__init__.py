"""Feature space: holding a stage's embeddings near its frozen predecessor's.

`resolve_distill` (how strongly, pure) and `distillation_loss` (the formula). Must not import train, chain,
evaluate or cli; the predecessor itself is served by `teacher`.
"""

from ray_compt.distill.settings import DistillPlan, resolve_distill

__all__ = ["DistillPlan", "resolve_distill"]
