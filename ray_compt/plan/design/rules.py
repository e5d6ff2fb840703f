"""The paper's three rules for a chain, as checks of a proposal.

Source: CoM-PT (arXiv 2604.12391): the smallest model must still fit the data, neighbours lie two to four times apart,
and epochs fall along the chain. What "fits" means is our reading: its asymptote against the largest model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ray_compt.plan.design.fit import Fit
from ray_compt.plan.design.observations import Measured, Path
from ray_compt.plan.design.predict import steps_up

FITS = 0.8
STEP = (2.0, 4.0)


@dataclass(frozen=True)
class Check:
    """One rule on one chain.

    Attributes:
        rule: fits, steps or falls.
        kept: whether the chain keeps it.
        says: the figures behind it, for people.
    """

    rule: str
    kept: bool
    says: str


def check_rules(fit: Fit, measured: Measured, path: Path) -> tuple[Check, ...]:
    """The three rules; a model alone keeps those about neighbours."""
    sizes = [stage.size for stage in path]
    share = _asymptote(fit, sizes[0]) / _asymptote(fit, tuple(measured.forward)[-1])
    return (
        Check("fits", share >= FITS, f"{sizes[0]} can reach {share:.0%} of what the largest can"),
        check_steps(steps_up(measured, sizes)),
        check_falls([stage.epochs for stage in path]),
    )


def check_steps(ratios: Sequence[float]) -> Check:
    """Whether neighbours lie 2 to 4 times apart in forward MACs."""
    kept = all(STEP[0] <= ratio <= STEP[1] for ratio in ratios)
    return Check(
        "steps", kept, "steps of " + ", ".join(f"{ratio:.1f}x" for ratio in ratios) if ratios else ""
    )


def check_falls(epochs: Sequence[float]) -> Check:
    """Whether no stage takes more epochs than the one before."""
    return Check(
        "falls",
        all(later <= earlier for earlier, later in pairwise(epochs)),
        "epochs " + ", ".join(f"{count:g}" for count in epochs),
    )


def _asymptote(fit: Fit, size: str) -> float:
    return float(fit.curves.asymptote[:, fit.index(size)].mean())
