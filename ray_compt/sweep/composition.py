"""Which of a base chain's stages make a chain. Pure: sizes and what growth allows are handed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ray_compt.config.sweep_keys import ChainsConfig
from ray_compt.config.tree import Key
from ray_compt.errors import UserError
from ray_compt.sweep.base import Base, Composition

# Why the second stage of a pair cannot be grown from the first; None where it can.
Ungrowable = Callable[[int, int], str | None]
Place = Callable[..., str]
# A sweep of so many chains is a slip of the keys.
MOST_CHAINS = 10_000


@dataclass(frozen=True)
class Compositions:
    """The chains of a sweep.

    Attributes:
        chains: the shortest first, then by their stages; those that differ in their epochs as listed.
        notes: what was left out or changed, and why; for people.
    """

    chains: tuple[Composition, ...]
    notes: tuple[str, ...] = ()


def compose(
    config: ChainsConfig | None, base: Base, macs: Sequence[int], ungrowable: Ungrowable, place: Place
) -> Compositions:
    """All chains that a sweep file asks for.

    Args:
        config: the section `chains`; None: the base chain as it is.
        base: the base chain, its stages in ascending size.
        macs: forward MACs of each stage's model.
        ungrowable: what growth refuses.
        place: names where a key below `chains` was written.

    Raises:
        UserError: an unknown stage, sizes that descend or repeat, a pair that may not be grown where that is
            refused, too many chains, or none.
    """
    if config is None:
        return Compositions((base.whole,))
    pairs = _Pairs(config, base, macs, ungrowable)
    if config.list is not None:
        asked: Iterator[Composition] = (
            _listed(base, chain, place, number) for number, chain in enumerate(config.list)
        )
    else:
        asked = _subsets(config, base, pairs, place)
    chains: dict[Composition, None] = {}
    left_out: Counter[str] = Counter()
    for number, chain in enumerate(asked):
        if number == MOST_CHAINS:
            mend = "choose fewer stages, or narrow length and ratio"
            raise UserError(f"chains: more than {MOST_CHAINS:,} chains", where=place("chains"), mend=mend)
        reasons = [reason for pair in pairwise(chain.stages) if (reason := pairs.reason(*pair))]
        if reasons and config.ungrowable == "refuse":
            mend = "leave this pair out, write ungrowable: leave_out or feature_space, or another growth"
            raise UserError(f"chains: {reasons[0]}", where=place("chains", "ungrowable"), mend=mend)
        left_out.update(reasons)
        if not reasons or config.ungrowable == "feature_space":
            chains[chain] = None
    notes = (*pairs.notes(), *(_left_out(reason, count, config) for reason, count in left_out.items()))
    if not chains:
        raise UserError(
            "\n".join(["chains: no chain is left", *(f"  {note}" for note in notes)]),
            where=place("chains"),
            mend="choose other stages, widen length or ratio, or write ungrowable: feature_space",
        )
    ordered = sorted(chains, key=lambda chain: (len(chain.stages), chain.stages))
    return Compositions(tuple(ordered), notes)


@dataclass(frozen=True)
class _Pairs:
    """What may stand beside what."""

    config: ChainsConfig
    base: Base
    macs: Sequence[int]
    ungrowable: Ungrowable

    def near(self, small: int, large: int) -> bool:
        """Whether the ratio of their sizes is as asked."""
        low, high = self.config.ratio or (0, float("inf"))
        return low <= self.macs[large] / self.macs[small] <= high

    def reason(self, small: int, large: int) -> str | None:
        """Why the pair cannot be grown, in a sentence."""
        reason = self.ungrowable(small, large)
        names = self.base.names
        return f"{names[large]} cannot be grown from {names[small]} ({reason})" if reason else None

    def notes(self) -> tuple[str, ...]:
        """The pairs that the ratio leaves out."""
        if self.config.ratio is None:
            return ()
        stages = self._stages()
        far = [
            f"{self.base.labels[small]}-{self.base.labels[large]} {self.macs[large] / self.macs[small]:.3g}"
            for number, small in enumerate(stages)
            for large in stages[number + 1 :]
            if not self.near(small, large)
        ]
        low, high = self.config.ratio
        return (f"no neighbours, by a ratio of {low:g} to {high:g}: {', '.join(far)}",) if far else ()

    def _stages(self) -> list[int]:
        names = self.config.subsets_of
        return [self.base.stage(name) for name in names] if names else list(self.base.whole.stages)


def _left_out(reason: str, count: int, config: ChainsConfig) -> str:
    chains = "1 chain" if count == 1 else f"{count} chains"
    if config.ungrowable == "feature_space":
        return f"{reason}: feature space only, in {chains}"
    return f"{reason}: {chains} left out"


def _subsets(config: ChainsConfig, base: Base, pairs: _Pairs, place: Place) -> Iterator[Composition]:
    """Chains of the stages to choose from that end as asked, longer ones built in front of shorter ones."""
    stages = base.whole.stages
    if config.subsets_of is not None:
        stages = _ascending(base, dict(enumerate(config.subsets_of)), place, "subsets_of")
    end = stages[-1]
    if config.end is not None:
        end = _stage(base, config.end, place, "end")
        if end not in stages:
            raise UserError(
                f"chains.end: {config.end} is not among the stages to choose from",
                where=place("chains", "end"),
                mend="add it to subsets_of, or end with one of them",
            )
    fewest, most = config.length or (1, len(stages))
    candidates = [stage for stage in stages if stage < end]
    if fewest > len(candidates) + 1:
        raise UserError(
            f"chains.length: a chain of {fewest} that ends with {base.names[end]} needs {fewest - 1} smaller models, "
            f"there are {len(candidates)}",
            where=place("chains", "length"),
            mend=f"begin with at most {len(candidates) + 1}, or choose more stages",
        )

    def grown(chain: tuple[int, ...]) -> Iterator[Composition]:
        if len(chain) >= fewest:
            yield Composition(chain)
        if len(chain) < most:
            for stage in candidates:
                if stage < chain[0] and pairs.near(stage, chain[0]):
                    yield from grown((stage, *chain))

    return grown((end,))


def _listed(base: Base, chain: Sequence[str] | Mapping[str, float], place: Place, number: int) -> Composition:
    """A chain of `chains.list`: names of stages, or stages with their epochs."""
    if isinstance(chain, Mapping):
        names: dict[Key, str] = {name: name for name in chain}
        return Composition(_ascending(base, names, place, "list", number), tuple(chain.values()))
    return Composition(_ascending(base, dict(enumerate(chain)), place, "list", number))


def _ascending(base: Base, names: Mapping[Key, str], place: Place, *key: Key) -> tuple[int, ...]:
    """Stages by name, each larger than the one before; the keys of `names` follow `key` in the file."""
    if not names:
        where = place("chains", *key)
        raise UserError(
            f"{_dotted(key)}: names no model", where=where, mend="write one or more, or remove it"
        )
    stages = tuple(_stage(base, name, place, *key, last) for last, name in names.items())
    for last, (stage, following) in zip(list(names)[1:], pairwise(stages)):
        if following <= stage:
            name, before = base.names[following], base.names[stage]
            what = f"{name} comes twice" if following == stage else f"{name} is smaller than {before}"
            raise UserError(
                f"{_dotted(key)}: {what}",
                where=place("chains", *key, last),
                mend="write each model once, from the smallest to the largest",
            )
    return stages


def _stage(base: Base, name: str, place: Place, *key: Key) -> int:
    try:
        return base.stage(name)
    except UserError as error:
        where = place("chains", *key)
        raise UserError(f"{_dotted(key)}: {error.message}", where=where, mend=error.mend) from None


def _dotted(key: Sequence[Key]) -> str:
    return ".".join(map(str, ("chains", *key)))
