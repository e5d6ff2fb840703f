"""How many workers a stage may have, from what the nodes have. Pure; Ray's side of it is in `ray_internals`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

Resources = Mapping[str, float]

# Each worker's pipeline reads and decodes in tasks of their own.
READING_TASKS = 2

# Share of the time for a checkpoint that workers get to take one more step, where they may have lost their readers.
STARVING_SHARE = 0.2

# Ray counts resources in ten-thousandths.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class ScalingRules:
    """What decides the number of workers of a stage.

    Attributes:
        legal: worker counts between which results do not change, ascending, all within the chain file's bounds.
        per_worker: resources of one worker.
        reading_cpus: logical CPUs that each worker's readers need beside it.
        other_cpus: logical CPUs that the stage needs besides (its teacher).
        look_every_s: shortest time between two looks for more or fewer workers.
        wait_s: longest time with too little room for the fewest workers.
        pause_s: longest time for the checkpoint before a resize.
    """

    legal: tuple[int, ...]
    per_worker: Resources
    reading_cpus: float
    other_cpus: float
    look_every_s: float
    wait_s: float
    pause_s: float

    @property
    def fewest(self) -> int:
        return self.legal[0]

    @property
    def most(self) -> int:
        return self.legal[-1]


def without(nodes: Mapping[str, Resources], left_out: Collection[str]) -> dict[str, Resources]:
    """The nodes but those that are `left_out`."""
    return {node: resources for node, resources in nodes.items() if node not in left_out}


def add(one: Resources, other: Resources) -> Resources:
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {*one, *other}}


def places(nodes: Mapping[str, Resources], per_worker: Resources) -> int:
    """Number of workers that fit on the nodes, each on one node whole."""
    wanted = {name: amount for name, amount in per_worker.items() if amount > 0}
    return sum(
        min(int((resources.get(name, 0.0) + _ROUNDING) // amount) for name, amount in wanted.items())
        for resources in nodes.values()
    )


def affordable(free: Mapping[str, Resources], whole: Mapping[str, Resources], rules: ScalingRules) -> int:
    """The largest legal number of workers, 0 where not even the fewest fit.

    Args:
        free: what is free on each usable node, what the stage's own workers hold counted as free.
        whole: what each usable node has; workers, their readers and the teacher must fit in its CPUs together,
            or readers would wait for workers and workers for their data.
    """
    room = places(free, rules.per_worker)
    cpus = sum(resources.get("CPU", 0.0) for resources in whole.values())
    each = rules.per_worker.get("CPU", 0.0) + rules.reading_cpus
    fitting = (n for n in rules.legal if n <= room and n * each + rules.other_cpus <= cpus + _ROUNDING)
    return max(fitting, default=0)


def limited(count: int, most: int | None, rules: ScalingRules) -> int:
    """`count`, or the largest legal number that is at most `most`, where that is less; never below the fewest."""
    if most is None or count <= most:
        return count
    return max((n for n in rules.legal if n <= most), default=rules.fewest)


def next_fewer(count: int, rules: ScalingRules) -> int:
    """The next smaller legal number, the fewest at least."""
    return max((n for n in rules.legal if n < count), default=rules.fewest)


def patience(pause_s: float, deadlines: Collection[float], now: float, *, starving: bool = False) -> float:
    """How long to wait for the checkpoint before a resize, seconds.

    Of a node that is being drained at most half the time that it had left: workers that cannot take their next step,
    because their readers stand still, would otherwise be there when it ends.

    Args:
        pause_s: the longest time in any case.
        deadlines: when the group's nodes end, in seconds since the epoch, as `now`.
        starving: the nodes have no room left for the readers of all workers, and no step has ended since the
            workers were asked: they may wait for data that nobody can read.
    """
    longest = pause_s * STARVING_SHARE if starving else pause_s
    return min([longest, *(deadline - now for deadline in deadlines)])


def describe_room(free: Mapping[str, Resources], rules: ScalingRules) -> str:
    """What the nodes offer, for a message."""
    room = places(free, rules.per_worker)
    needs = " and ".join(f"{amount:g} {name}" for name, amount in rules.per_worker.items() if amount > 0)
    return f"room for {room} workers of {needs} each"
