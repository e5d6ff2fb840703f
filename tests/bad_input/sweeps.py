"""Sweep files, given to `compt tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bad_input.place import Place, model
from tests.bad_input.row import Chapter, Row

# Rows name its lines by number: edit with care.
SWEEP = """\
name: mine
chain: chain
space:
  train.lr: {choice: [0.001, 0.002]}
chains: {length: [1, 2]}
objective: {metric: zero_shot_top1}
"""
FILE = "sweep.yaml"
# Two models of which none can be grown from the other.
APART = [
    {"name": "small", "model": model(16), "epochs": 1},
    {"name": "large", "model": model(32, patch_size=8), "epochs": 1},
]


def tune(at: Place, text: str, *options: str | Path, **changes: Any) -> list[str | Path]:
    """`compt tune` of a sweep file with this content, over the good chain with changes."""
    at.chain(**changes)
    return ["tune", at.write(FILE, text), *(options or ("--dry-run",))]


def _text(name: str, title: str, text: str, place: str, *says: str, **changes: Any) -> Row:
    return Row(f"sweep-{name}", title, lambda at: tune(at, text, **changes), place, says)


def _line(name: str, title: str, number: int, line: str, *says: str, **changes: Any) -> Row:
    """The good sweep with another line in the place of one of its own, or after them."""
    lines = SWEEP.splitlines()
    lines[number - 1 : number] = [line]
    return _text(name, title, "\n".join(lines) + "\n", f"{FILE}:{number}", *says, **changes)


def _space(name: str, title: str, line: str, *says: str, **changes: Any) -> Row:
    return _line(name, title, 4, f"  {line}", *says, **changes)


def _chains(name: str, title: str, chains: str, *says: str, **changes: Any) -> Row:
    return _line(name, title, 5, f"chains: {chains}", *says, **changes)


def _objective(name: str, title: str, objective: str, *says: str, **changes: Any) -> Row:
    return _line(name, title, 6, f"objective: {objective}", *says, **changes)


def _more(name: str, title: str, line: str, *says: str) -> Row:
    return _line(name, title, 7, line, *says)


FILES = Chapter(
    "Sweep files",
    "A sweep is checked as a whole before anything starts, its values against the keys of the base chain too.",
    (
        Row(
            "sweep-missing",
            "A sweep file that is not there",
            lambda at: ["tune", "digits_quik"],
            "digits_quik",
            ("no such sweep file", "did you mean digits_quick?"),
        ),
        Row(
            "sweep-set",
            "An override of a key that the base chain does not have",
            lambda at: tune(at, SWEEP, "--set", "train.lrr=1"),
            "--set train.lrr=1",
            ("did you mean lr?",),
        ),
        _text("empty", "An empty sweep file", "", f"{FILE}:1", "found nothing", "docs/sweep_file.md"),
        _text("list", "A sweep file that is a list", "- name: mine\n", f"{FILE}:1", "no mapping"),
        _text("yaml", "A sweep file that is no YAML", "name: [mine\n", FILE, "malformed YAML"),
        _line("base", "No base chain", 2, "chain: nowhere", "chain: no such chain file: nowhere"),
        _text(
            "base-key",
            "A mistake in the base chain",
            SWEEP,
            "chain.yaml",
            "did you mean lr?",
            train={"lrr": 1},
        ),
        _text(
            "base-order",
            "A base chain whose models shrink",
            SWEEP,
            "model ",
            "is smaller than its predecessor",
            stages=APART[::-1],
        ),
        _line("key", "An unknown key", 3, "spaces:", "did you mean space?"),
        _text(
            "nothing",
            "A sweep of nothing",
            SWEEP.replace("{choice: [0.001, 0.002]}\nchains: {length: [1, 2]}", "0.001"),
            f"{FILE}:3",
            "nothing is varied",
        ),
        _objective(
            "metric", "A metric that no stage reports", "{metric: accuracy}", "no stage reports accuracy"
        ),
        _objective(
            "metric-near", "A metric, misspelt", "{metric: zero_shot_top}", "did you mean zero_shot_top"
        ),
        _objective(
            "metric-none",
            "A metric where nothing is measured",
            "{metric: zero_shot_top1}",
            "nothing is measured",
            data={"val": None},
        ),
        _objective(
            "mode", "A mode that there is not", "{metric: zero_shot_top1, mode: best}", "one of max, min"
        ),
        _objective("half", "Half of a target", "{metric: zero_shot_top1, at_least: 0.6}", "minimise: macs"),
        _objective(
            "percent",
            "A target in per cent",
            "{metric: zero_shot_top1, at_least: 60, minimise: macs}",
            "at most 1",
        ),
        _objective(
            "two-costs",
            "A target and a second cost",
            "{metric: zero_shot_top1, at_least: 0.6, minimise: macs, cost: seconds}",
            "weigh the cost already",
        ),
        _more("algorithm", "An unknown search", "search: {algorithm: bohb}", "one of grid, random, tpe"),
        _more("endless", "A search without an end", "search: {algorithm: tpe}", "trials: 20"),
        _more("front", "NSGA-II for one objective", "search: {algorithm: nsga2, trials: 9}", "cost: macs"),
        _more("seeds", "A seed that is named twice", "seeds: [0, 0]", "seeds.1: 0 is named twice"),
        _more("concurrent", "No trial at a time", "max_concurrent: 0", "0 trials at once train nothing"),
        _more("prune", "Pruning by nobody", "prune: {within_stage: true}", "nobody prunes"),
        _more(
            "prune-few", "Pruning of too few trials", "prune: {scheduler: asha, reduction: 9}", "of 4 trials"
        ),
        _text(
            "prune-ends",
            "Pruning between the stages of chains of one",
            SWEEP.replace("[1, 2]", "[1, 1]") + "prune: {scheduler: asha, reduction: 2}\n",
            f"{FILE}:7",
            "no chain has two",
        ),
        _text(
            "prune-front",
            "Pruning by two objectives",
            SWEEP.replace("top1}", "top1, cost: macs}") + "prune: {scheduler: asha, reduction: 2}\n",
            f"{FILE}:7",
            "compares trials by one number",
        ),
    ),
)

SPACE = Chapter(
    "Search spaces",
    "Keys are those of the chain file; their values are written as distributions.",
    (
        _space("unknown", "An unknown key", "train.lrr: {choice: [1, 2]}", "did you mean lr?"),
        _space("hole", "A key with a hole", "train..lr: 1", "no key of a chain file"),
        _space("seed", "The seed", "seed: {choice: [0, 1]}", "seeds: [0, 1, 2]"),
        _space("model", "A stage's model", "stages.small.model: {choice: [S, M]}", "in chains:"),
        _space("stage", "A stage that is not there", "stages.larg.lr: 1", "the base chain has no stage larg"),
        _space("stage-number", "A stage beyond the last", "stages.2.lr: 1", "no chain has a stage 2"),
        _space("type", "A word among numbers", "train.lr: {choice: [0.1, fast]}", "expected a number"),
        _space("limit", "A value out of its limits", "train.lr: {choice: [0.1, -1]}", "above 0"),
        _space("growth", "A growth, misspelt", "transfer.growth: {choice: [losless]}", "lossless"),
        _space(
            "rule",
            "A value that does not go with the rest",
            "train.global_batch: {choice: [64, 50]}",
            "a batch of 50",
            "multiple of",
        ),
        _space("kind", "An unknown distribution", "train.lr: {normal: [0, 1]}", "unknown distribution"),
        _space("none", "A choice of nothing", "train.lr: {choice: []}", "a list of values is expected"),
        _space("twice", "A value that is named twice", "train.lr: {choice: [1, 1]}", "1 is named twice"),
        _space("range", "A range the wrong way round", "train.lr: {uniform: [2, 1]}", "lower number first"),
        _space("log", "A logarithm of zero", "train.lr: {loguniform: [0, 1]}", "0 has no logarithm"),
        _space("whole", "Whole numbers that are none", "train.warmup_steps: {randint: [1, 2.5]}", "2 whole"),
        _space(
            "grid", "A grid over a range", "train.lr: {uniform: [1, 2]}", "a grid has no end over a range"
        ),
        _text(
            "grid-huge",
            "A grid of more than anybody trains",
            SWEEP.replace("train.lr: {choice: [0.001, 0.002]}", "train.warmup_steps: {randint: [1, 9999]}"),
            f"{FILE}:1",
            "more than 10,000",
        ),
        _text(
            "same",
            "One key in two spellings",
            SWEEP.replace("  train.lr", "  stages.*.lr: 1\n  stages.*.train.lr"),
            f"{FILE}:5",
            "the same key as stages.*.lr",
        ),
        Row(
            "sweep-override",
            "A key of the space that --set gives too",
            lambda at: tune(at, SWEEP, "--dry-run", "--set", "train.lr=1"),
            f"{FILE}:4",
            ("also given with --set train.lr=1",),
        ),
        _text(
            "together",
            "Values that do not go together",
            SWEEP.replace(
                "  train.lr: {choice: [0.001, 0.002]}",
                "  transfer.growth: {choice: [lossless, random]}\n  transfer.optimizer: {choice: [fresh, carry]}",
            ),
            FILE,
            "random weights have no moments",
        ),
    ),
)

CHAINS = Chapter(
    "Compositions",
    "Which of the base chain's models make a chain, always in ascending size.",
    (
        _chains(
            "unknown-model",
            "A model that the base chain does not have",
            "{list: [[small, big]]}",
            "no stage big",
        ),
        _chains(
            "descending", "Models that descend", "{list: [[large, small]]}", "small is smaller than large"
        ),
        _chains("repeated", "A model that comes twice", "{list: [[small, small]]}", "small comes twice"),
        _chains("no-model", "A chain of no model", "{list: [[]]}", "names no model"),
        _chains("flat", "A chain instead of a list of chains", "{list: [small, large]}", "a list of lists"),
        _chains(
            "list-end", "A list and an end", "{list: [[small, large]], end: large}", "list names the chains"
        ),
        _chains("epochs", "No epochs for a stage", "{list: [{small: 9, large: 0}]}", "no number of epochs"),
        _chains("epochs-word", "A word for epochs", "{list: [{small: 9, large: many}]}", "to numbers"),
        _text(
            "epochs-twice",
            "Epochs in the list and in the space",
            SWEEP.replace("length: [1, 2]", "list: [{small: 9, large: 3}]").replace(
                "train.lr: {choice: [0.001, 0.002]}", "stages.*.epochs: {choice: [1, 2]}"
            ),
            f"{FILE}:4",
            "chains.list gives the epochs of small9-large3",
        ),
        _chains(
            "end", "An end that is not among the models", "{subsets_of: [small], end: large}", "not among"
        ),
        _chains(
            "length", "Chains longer than there are models", "{length: [3, 4]}", "needs 2 smaller models"
        ),
        _chains("length-order", "A length the wrong way round", "{length: [2, 1]}", "no numbers of models"),
        _chains(
            "ratio",
            "Neighbours nearer than any two are",
            "{length: [2, 2], ratio: [90, 99]}",
            "no chain is left",
        ),
        _chains("ratio-order", "Ratios the wrong way round", "{ratio: [5, 2]}", "no ratios"),
        _chains(
            "refused",
            "A pair that cannot be grown",
            "{length: [2, 2], ungrowable: refuse}",
            "large cannot be grown from small",
            stages=APART,
        ),
        _chains(
            "left-out",
            "Only pairs that cannot be grown",
            "{length: [2, 2]}",
            "no chain is left",
            "1 chain left out",
            stages=APART,
        ),
    ),
)
