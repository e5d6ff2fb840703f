"""Which trainings the experiment is made of. A part gives its cells once the parts before it have their results."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from benchmarks.acceleration.cell import Cell
from benchmarks.acceleration.results import Results, score

PAPER_WEIGHT = 1000 / 512
LEARNING_RATES = (1e-3, 2e-3, 4e-3)
TUNED_AT = (20, 80)
BUDGETS = {
    "XS": (20, 40, 80, 160, 320),
    "S": (20, 40, 80, 160, 320),
    "M": (20, 40, 80, 160),
    "L": (20, 40, 80, 160),
}
# What stages may cost, in epochs, and the trained predecessors from which they start.
STAGES, PREDECESSORS = (10, 20, 40), (80, 160)
# The stage at which controls and options are compared.
SMALL, LARGE, TRAINED, STAGE = "S", "M", 160, 20

Part = Callable[[Results, int, tuple[str, ...]], list[Cell]]


def tune(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """Learning rates of every size at a short and a long budget; one seed."""
    if seed:
        return []
    return [Cell(size, epochs, lr, 0) for size in sizes for epochs in TUNED_AT for lr in LEARNING_RATES]


def frontier(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """Every size alone at several budgets, each with its own complete schedule and tuned learning rate."""
    return [alone(results, size, epochs, seed) for size in sizes for epochs in BUDGETS[size]]


def chain(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """Two models from well-trained predecessors, and one chain through all sizes, as the product would train them."""
    two = [
        _stage(results, alone(results, SMALL, trained, seed), LARGE, epochs)
        for trained in PREDECESSORS
        for epochs in STAGES
    ]
    return two + [cell for epochs in STAGES[1:] for cell in long_chain(results, seed, sizes, epochs)]


def controls(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """What a stage must beat at equal compute, and what it is made of."""
    small = alone(results, SMALL, TRAINED, seed)
    stage = _stage(results, small, LARGE, STAGE)
    return [
        replace(_stage(results, small, SMALL, _equal_epochs(results, stage)), growth="continue", weight=0.0),
        replace(stage, weight=0.0),
        replace(stage, growth="random"),
        replace(stage, growth="official_slice"),
        # The paper's recipe: corner embedding, its distillation weight throughout.
        replace(stage, growth="embed"),
    ]


def options(results: Results, seed: int, sizes: tuple[str, ...]) -> list[Cell]:
    """One setting of the stage at a time."""
    stage = _stage(results, alone(results, SMALL, TRAINED, seed), LARGE, STAGE)
    changes: list[dict[str, float | str]] = [
        {"lr": stage.lr / 4},
        {"lr": stage.lr / 2},
        {"lr": stage.lr * 2},
        {"warmup": 0.0},
        {"warmup": 3.0},
        {"noise": 0.25},
        {"noise": 2.0},
        {"weight": 0.5, "stop_at": 0.5, "decay": "linear"},
        {"weight": PAPER_WEIGHT / 2},
        {"weight": 2 * PAPER_WEIGHT},
        {"stop_at": 0.5},
        {"growth": "embed", "weight": 0.0},
        {"growth": "embed", "lr": stage.lr / 2},
    ]
    return [replace(stage, **change) for change in changes]


PARTS: dict[str, Part] = {
    "tune": tune,
    "frontier": frontier,
    "chain": chain,
    "controls": controls,
    "options": options,
}


def alone(results: Results, size: str, epochs: float, seed: int) -> Cell:
    """A model trained by itself at the learning rate that was best at the nearest tuned budget."""
    nearest = min(TUNED_AT, key=lambda budget: abs(math.log(budget / epochs)))
    tuned = [Cell(size, nearest, lr, 0) for lr in LEARNING_RATES]
    best = max(tuned, key=lambda cell: score(results[cell]["metrics"]))
    return Cell(size, epochs, best.lr, seed)


def long_chain(results: Results, seed: int, sizes: tuple[str, ...], epochs: float) -> list[Cell]:
    """Stages of equally many epochs from the smallest size, trained long, to the largest."""
    cells = [alone(results, sizes[0], TRAINED, seed)]
    for size in sizes[1:]:
        cells.append(_stage(results, cells[-1], size, epochs))
    return cells[1:]


def _stage(results: Results, source: Cell, size: str, epochs: float) -> Cell:
    """A stage as the product trains it by default behind a well-trained predecessor."""
    lr = alone(results, size, epochs, source.seed).lr
    return Cell(size, epochs, lr, source.seed, source=source, growth="lossless", weight=PAPER_WEIGHT)


def _equal_epochs(results: Results, stage: Cell) -> float:
    """Epochs of the stage's source that cost as many MACs as the stage, its teacher included."""
    assert stage.source is not None
    a_source_epoch = results[stage.source]["macs"] / stage.source.epochs
    return round(results[stage]["macs"] / a_source_epoch)
