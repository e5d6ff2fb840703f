"""Parameter space: a trained model's weights become initial weights of a larger one.

Public: `grow` (state dict -> state dict), `grow_moments` (AdamW's likewise), `explain` (what they would do),
`Growth`, `CannotGrow`, `OPERATORS`.
Pure functions over tensors; must not import Ray, DeepSpeed, or any room but models and errors.
"""

from __future__ import annotations

from ray_compt.growth.grow import OPERATORS, Growth, explain, grow, grow_moments
from ray_compt.growth.pairs import CannotGrow

__all__ = ["OPERATORS", "CannotGrow", "Growth", "explain", "grow", "grow_moments"]
