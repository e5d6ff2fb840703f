"""A loaded sweep file becomes a `SweepPlan`, and everything that can be refused is, before anything starts. Pure but
for the models, which `measure` looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from ray_compt.config.problems import unite
from ray_compt.config.schema import Chain
from ray_compt.config.sweep_file import LoadedSweep
from ray_compt.errors import UserError
from ray_compt.sweep.base import Base, Composition, Target, locate_key, open_base
from ray_compt.sweep.candidate import Axis, build_chain
from ray_compt.sweep.composition import compose
from ray_compt.sweep.metrics import check_metric
from ray_compt.sweep.models import Models, measure_models
from ray_compt.sweep.plan import SweepPlan, ungrown
from ray_compt.sweep.space import Parameter, Values

# More than anybody trains.
MOST_CANDIDATES = 10_000


def check_sweep(loaded: LoadedSweep, measure: Callable[[Chain], Models] = measure_models) -> SweepPlan:
    """What a sweep will do.

    Args:
        loaded: the sweep file.
        measure: sizes and growth of the base chain's models; by default from the models themselves.

    Raises:
        UserError: anything that would stop a trial or make the sweep pointless: an unknown key or a wrong value of
            the space, a composition that is not possible, a metric that no stage reports, a search that has no end
            or nothing to choose from.
    """
    base = open_base(loaded)
    axes = _axes(loaded, base)
    chains = _probe(loaded, base, axes)
    models = measure(chains[0])
    refuses = _refuses(loaded, models, chains)
    compositions = compose(loaded.sweep.chains, base, models.macs, refuses, loaded.place)
    _check_epochs(loaded, base, axes, compositions.chains)
    first = _first_values(axes)
    for composition in compositions.chains:
        build_chain(loaded, base, axes, composition, first)
    for chain in chains:
        check_metric(
            loaded.sweep.objective.metric, chain.data, chain.evaluate, loaded.place("objective", "metric")
        )
    plan = SweepPlan(loaded, base, axes, compositions.chains, models, compositions.notes)
    _check_search(plan)
    return plan


def _axes(loaded: LoadedSweep, base: Base) -> tuple[Axis, ...]:
    """The space's keys, in the order of the file."""
    axes: list[Axis] = []
    problems = []
    overridden = _overridden(loaded, base)
    for key, distribution in loaded.sweep.space.items():
        try:
            target = locate_key(base, key)
            twin = next((axis.parameter.key for axis in axes if axis.target == target), None)
            if twin is not None:
                raise UserError(f"the same key as {twin}", mend="keep one of them")
            if target in overridden:
                raise UserError(
                    f"also given with --set {overridden[target]}", mend="remove it here, or there"
                )
        except UserError as error:
            where = loaded.place("space", key)
            problems.append(UserError(f"space.{key}: {error.message}", where=where, mend=error.mend))
        else:
            axes.append(Axis(Parameter(key, distribution), target))
    if problems:
        raise unite(problems, str(loaded.file))
    return tuple(axes)


def _overridden(loaded: LoadedSweep, base: Base) -> dict[Target, str]:
    """What --set has set, of the keys that a space may have too."""
    found = {}
    for text in loaded.overrides:
        with suppress(UserError):
            found[locate_key(base, text.partition("=")[0].strip())] = text
    return found


def _check_epochs(
    loaded: LoadedSweep, base: Base, axes: Sequence[Axis], compositions: Sequence[Composition]
) -> None:
    """Epochs that `chains.list` gives are given nowhere else.

    Raises:
        UserError: a key of the space or an override gives them too.
    """
    others = [
        (axis.target, f"space.{axis.parameter.key}", loaded.place("space", axis.parameter.key))
        for axis in axes
    ]
    others += [
        (target, text.partition("=")[0].strip(), f"--set {text}")
        for target, text in _overridden(loaded, base).items()
    ]
    listed = [composition for composition in compositions if composition.epochs is not None]
    for target, key, where in others:
        twin = next((one for one in listed if target.rest == "epochs" and target.paths(one)), None)
        if twin is not None:
            raise UserError(
                f"{key}: chains.list gives the epochs of {base.label(twin)}",
                where=where,
                mend="remove it, or write that chain as a list of stages",
            )


def _first_values(axes: Sequence[Axis]) -> Values:
    return {axis.parameter.key: axis.parameter.extremes()[0] for axis in axes}


def _probe(loaded: LoadedSweep, base: Base, axes: Sequence[Axis]) -> list[Chain]:
    """The base chain with the first value of every key, then with each other value or end of a range, one at a time.

    Raises:
        UserError: a value of a key is none that the chain file takes there.
    """
    first = _first_values(axes)
    chains = [build_chain(loaded, base, axes, base.whole, first)[0]]
    problems: dict[str, UserError] = {}
    for axis in axes:
        for value in axis.parameter.extremes()[1:]:
            values = {**first, axis.parameter.key: value}
            try:
                chains.append(build_chain(loaded, base, axes, base.whole, values)[0])
            except UserError as error:
                problems.setdefault(f"{error.where}: {error.message}", error)
    if problems:
        raise unite(problems.values(), str(loaded.file))
    return chains


def _refuses(
    loaded: LoadedSweep, models: Models, chains: Sequence[Chain]
) -> Callable[[int, int], str | None]:
    """Pairs that every growth which the sweep may ask for refuses; where that is an error, that any refuses."""
    config = loaded.sweep.chains
    combine = any if config is not None and config.ungrowable == "refuse" else all

    def refuses(small: int, large: int) -> str | None:
        growths = dict.fromkeys(chain.stages[large].transfer.growth for chain in chains)
        reasons = [
            ungrown(models, small, large, growth, composed=True) for growth in growths if growth != "random"
        ]
        return next(filter(None, reasons)) if reasons and combine(reasons) else None

    return refuses


def _check_search(plan: SweepPlan) -> None:
    search, place = plan.sweep.search, plan.loaded.place
    endless = [axis.parameter for axis in plan.axes if axis.parameter.size is None]
    if search.algorithm == "grid" and endless:
        key = endless[0].key
        raise UserError(
            f"space.{key}: a grid has no end over a range of numbers",
            where=place("space", key),
            mend="write a choice of values, or search: {algorithm: random, trials: 20}",
        )
    if search.algorithm == "grid" and (plan.size or 0) > MOST_CANDIDATES:
        raise UserError(
            f"search: a grid of {plan.size:,} candidates, more than {MOST_CANDIDATES:,}",
            where=place("search"),
            mend="write fewer values or chains, or search: {algorithm: random, trials: 20}",
        )
    _check_pruning(plan)


def _check_pruning(plan: SweepPlan) -> None:
    sweep, place = plan.sweep, plan.loaded.place
    if sweep.prune.scheduler == "none":
        return
    if not sweep.prune.within_stage and all(len(chain.stages) == 1 for chain in plan.compositions):
        raise UserError(
            f"prune.scheduler: {sweep.prune.scheduler} looks at the ends of stages, and no chain has two",
            where=place("prune", "scheduler"),
            mend="write scheduler: none, or longer chains",
        )
    known = [number for number in (plan.size, sweep.search.trials) if number is not None]
    trials = min(known) * len(sweep.seeds) if known else None
    if trials is not None and trials < sweep.prune.reduction:
        raise UserError(
            f"prune.reduction: one in {sweep.prune.reduction} goes on, of {trials} trials: nothing is ever pruned",
            where=place("prune", "reduction"),
            mend="write scheduler: none, or more trials",
        )
