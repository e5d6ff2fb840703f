"""Which trainings the experiment is made of. A part gives its cells once the parts before it have their results."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from benchmarks.acceleration.cell import Cell
from benchmarks.acceleration.results import Results, score

PAPER_WEIGHT = 1000 / 512
LEARNING_RATES = (1e-3, 2e-3, 4e-3)
# Budgets, in epochs, at which each size's learning rate is tuned, and at which it is trained alone.
TUNED_AT = {"XS": (80,), "S": (20, 80), "M": (20,), "L": (20,)}
BUDGETS = {"XS": (40, 80, 160), "S": (40, 80, 160), "M": (40, 80, 160), "L": (20, 40, 80)}
# Learning rates of a grown stage, as shares of what is best for its size from scratch.
STAGE_SHARES = (0.25, 0.5, 1.0)
# The stage at which learning rates are tuned, and controls and options are compared.
SMALL, LARGE, TRAINED, STAGE = "S", "M", 160, 20
# Two models, as (epochs of the small one, epochs of the large one), and what each stage of longer chains takes.
PAIRS = ((80, 10), (80, 20), (160, 10), (160, 20), (160, 40))
LONG = (10, 20)

Part = Callable[[Results, int, tuple[str, ...]], list[Cell]]


def tune(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """Learning rates of every size alone; one seed."""
    return [
        Cell(size, epochs, lr, 0)
        for size in sizes
        for epochs in TUNED_AT[size]
        for lr in LEARNING_RATES
        if seed == 0
    ]


def frontier(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """Every size alone at several budgets, each with its own complete schedule and tuned learning rate."""
    return [alone(results, size, epochs, seed) for size in sizes for epochs in BUDGETS[size]]


def tune_stage(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """Learning rates of a grown and taught stage; one seed."""
    return [_at_share(results, 0, share) for share in STAGE_SHARES] if seed == 0 else []


def chain(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """Two models from predecessors that were trained for less or more, three from S, one chain through all sizes."""
    two = [stage(results, alone(results, SMALL, first, seed), LARGE, then) for first, then in PAIRS]
    three = [stage(results, whole_stage(results, seed), "L", STAGE)] if "L" in sizes else []
    return two + three + [cell for epochs in LONG for cell in long_chain(results, seed, sizes, epochs)]


def controls(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """What a stage must beat at equal compute, and what it is made of."""
    whole = whole_stage(results, seed)
    return [
        replace(whole, size=SMALL, epochs=_equal_epochs(results, whole), growth="continue", weight=0.0),
        replace(whole, weight=0.0),
        replace(whole, growth="random", lr=alone(results, LARGE, STAGE, seed).lr),
        replace(whole, growth="official_slice"),
        # The paper's recipe: corner embedding, its distillation weight throughout.
        replace(whole, growth="embed"),
    ]


def options(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """One setting of the stage at a time."""
    whole = whole_stage(results, seed)
    changes: list[dict[str, float | str]] = [
        {"warmup": 0.0},
        {"warmup": 3.0},
        {"optimizer": "carry"},
        {"noise": 0.25},
        {"noise": 2.0},
        {"weight": PAPER_WEIGHT / 4},
        {"weight": 2 * PAPER_WEIGHT},
        {"stop_at": 0.5},
        {"decay": "linear"},
    ]
    return [replace(whole, **change) for change in changes]


PARTS: dict[str, Part] = {
    "tune": tune,
    "frontier": frontier,
    "tune_stage": tune_stage,
    "chain": chain,
    "controls": controls,
    "options": options,
}


def alone(results: Results, size: str, epochs: float, seed: int) -> Cell:
    """A model trained by itself at the learning rate that was best at the nearest tuned budget."""
    nearest = min(TUNED_AT[size], key=lambda budget: abs(math.log(budget / epochs)))
    best = _best(results, [Cell(size, nearest, lr, 0) for lr in LEARNING_RATES])
    return Cell(size, epochs, best.lr, seed)


def tuned_sizes(results: Results) -> tuple[str, ...]:
    """Sizes whose learning rates are known, smallest first."""
    return tuple(size for size in TUNED_AT if all(cell in results for cell in tune(results, 0, (size,))))


def whole_stage(results: Results, seed: int) -> Cell:
    """The stage with which controls and options are compared."""
    return stage(results, alone(results, SMALL, TRAINED, seed), LARGE, STAGE)


def long_chain(results: Results, seed: int, sizes: tuple[str, ...], epochs: float) -> list[Cell]:
    """Stages of equally many epochs from the smallest size, trained long, to the largest."""
    cells = [alone(results, sizes[0], TRAINED, seed)]
    for size in sizes[1:]:
        cells.append(stage(results, cells[-1], size, epochs))
    return cells[1:]


def stage(results: Results, source: Cell, size: str, epochs: float) -> Cell:
    """A stage as the product trains it, at the share of its size's learning rate that was best."""
    tuned = [_at_share(results, 0, share) for share in STAGE_SHARES]
    share = STAGE_SHARES[tuned.index(_best(results, tuned))]
    return _stage(results, source, size, epochs, share)


def _at_share(results: Results, seed: int, share: float) -> Cell:
    return _stage(results, alone(results, SMALL, TRAINED, seed), LARGE, STAGE, share)


def _stage(results: Results, source: Cell, size: str, epochs: float, share: float) -> Cell:
    lr = share * alone(results, size, epochs, source.seed).lr
    return Cell(size, epochs, lr, source.seed, source=source, growth="lossless", weight=PAPER_WEIGHT)


def _best(results: Results, cells: list[Cell]) -> Cell:
    return max(cells, key=lambda cell: score(results[cell]["metrics"]))


def _equal_epochs(results: Results, whole: Cell) -> float:
    """Epochs of the stage's source that cost as many MACs as the stage, its teacher included."""
    assert whole.source is not None
    a_source_epoch = results[whole.source]["macs"] / whole.source.epochs
    return round(results[whole]["macs"] / a_source_epoch)
