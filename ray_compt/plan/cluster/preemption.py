"""How much longer a run takes where nodes are taken away, in expectation."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Preemptions:
    """Nodes that leave at random, independently of each other.

    Attributes:
        per_hour: expected losses of all nodes together.
        noticed: share of them that is announced in time: a checkpoint is taken, no step is lost.
        restart_s: from a loss to the next step.
        interval_s: training between two checkpoints.
    """

    per_hour: float
    noticed: float
    restart_s: float
    interval_s: float

    @property
    def slowdown(self) -> float:
        """Expected time over undisturbed time, at least 1; infinite where no checkpoint is ever reached.

        Losses without notice cost the work since the last checkpoint: (1/L + R)(exp(L I) - 1) for an interval I at
        rate L with a restart of R (Daly, Future Gener. Comput. Syst. 22, 2006, eq. 13, without the checkpoint's own
        time). Those with notice cost the restart alone.
        """
        rate = self.per_hour / 3600
        sudden, announced = rate * (1 - self.noticed), rate * self.noticed
        exposure = sudden * self.interval_s
        if exposure > 700:
            return math.inf
        lost = 1.0 if exposure == 0 else (1 + sudden * self.restart_s) * math.expm1(exposure) / exposure
        return lost * (1 + announced * self.restart_s)


NONE = Preemptions(0.0, 1.0, 0.0, 0.0)
