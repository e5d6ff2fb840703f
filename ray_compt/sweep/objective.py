"""What a sweep seeks, as plain data.

| fields                        | sought                                                        |
|-------------------------------|---------------------------------------------------------------|
| metric, mode                  | the best metric at the end of the chain's last stage          |
| metric, mode, cost            | the Pareto front of that metric against cost                  |
| metric, at_least, minimise    | the cheapest chain whose metric reaches `at_least`            |
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

Mode = Literal["max", "min"]
CostName = Literal["macs", "seconds"]


@dataclass(frozen=True)
class Objective:
    """An objective; see the table above.

    Attributes:
        metric: its key, as in a stage's metrics.
        mode: whether more of it is better, or less.
        cost: the second objective, always minimised.
        at_least: the metric to reach.
        minimise: the cost that is sought to be least among those that reach it.

    Raises:
        ValueError: a combination that is not in the table.
    """

    metric: str
    mode: Mode = "max"
    cost: CostName | None = None
    at_least: float | None = None
    minimise: CostName | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"the mode {self.mode} is neither max nor min")
        for name in (self.cost, self.minimise):
            if name is not None and name not in get_args(CostName):
                raise ValueError(f"the cost {name} is neither macs nor seconds")
        if (self.at_least is None) != (self.minimise is None):
            raise ValueError("at_least and minimise belong together")
        if self.at_least is not None and (self.cost is not None or self.mode == "min"):
            raise ValueError("at_least goes neither with cost nor with the mode min")
        if self.at_least is not None and not math.isfinite(self.at_least):
            raise ValueError("at_least is no finite number")

    @property
    def cost_name(self) -> CostName:
        """The cost that candidates are compared by, MACs where the objective names none."""
        return self.cost or self.minimise or "macs"

    def better(self, metric: float, than: float) -> bool:
        """Whether one metric is strictly better than another."""
        return metric > than if self.mode == "max" else metric < than

    def words(self) -> str:
        """The objective in one line."""
        if self.at_least is not None:
            return f"the least {cost_words(self.cost_name)} that reach {self.metric} {self.at_least:g}"
        extreme = "highest" if self.mode == "max" else "lowest"
        aim = f"the {extreme} {self.metric}"
        return f"{aim} against {cost_words(self.cost)}" if self.cost else aim


def cost_words(name: CostName) -> str:
    return {"macs": "MACs", "seconds": "seconds"}[name]
