"""Feature space: holding a stage's embeddings near its frozen predecessor's.

`resolve_distill` (how strongly, pure), `distillation_loss` (the formula), `start_teacher` and
`with_features` (serving the predecessor). Must not import train, chain, evaluate or cli.
"""

from ray_compt.distill.settings import DistillPlan, resolve_distill

__all__ = ["DistillPlan", "resolve_distill"]
