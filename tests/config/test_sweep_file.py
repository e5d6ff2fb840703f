"""A sweep file: its defaults, its mistakes with line and mend, and where its base chain is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config.schema import TrainConfig
from ray_compt.config.sweep_file import find_sweep, load_sweep, shipped_sweeps
from ray_compt.config.sweep_keys import FITTING, Sweep
from ray_compt.errors import UserError
from tests.sweep.files import SWEEP, bend, case, check_error, load, with_chains, with_space

OBJECTIVE = "objective: {metric: zero_shot_top1}"


def with_objective(text: str) -> str:
    return bend(OBJECTIVE, f"objective: {text}")


def test_a_short_one_has_every_default(tmp_path: Path):
    sweep = load(tmp_path).sweep
    assert (sweep.search.algorithm, sweep.search.trials, sweep.seeds) == ("grid", None, [0])
    assert (sweep.prune.scheduler, sweep.max_concurrent, sweep.retry_failed) == ("none", "auto", 0)


def test_it_dumps_as_it_is_written(tmp_path: Path):
    sweep = load(tmp_path, with_space("train.lr: {loguniform: [1e-4, 1e-2]}")).sweep
    dumped = sweep.model_dump(mode="json")
    assert dumped["space"] == {"train.lr": {"loguniform": [1e-4, 1e-2]}}
    assert Sweep.model_validate(dumped) == sweep


def test_values_know_their_lines(tmp_path: Path):
    loaded = load(tmp_path, with_space("train.lr:", "  choice:", "    - 1e-3", "    - 2e-3"))
    assert loaded.place("space", "train.lr", "choice", 1) == f"{tmp_path / 's.yaml'}:7"
    assert loaded.place("search", "trials") == f"{tmp_path / 's.yaml'}:1"


@pytest.mark.parametrize(
    "text, line, message, mend",
    [
        case(bend("space:", "spaces:"), 3, "spaces: unknown key", "did you mean space?", id="top"),
        case(with_chains("lenght: [1, 2]"), 7, "chains.lenght: unknown key", "did you mean length?"),
        case(SWEEP + "trials: 3\n", 9, "trials: unknown key", "write it in search", id="elsewhere"),
        case(SWEEP + "name: x\n", 9, "the key name is written twice", "keep one", id="twice"),
        case(bend("chain: base\n", ""), 1, "chain: missing", "add chain: text", id="missing"),
        case(bend("chain: base", "chain: bas"), 2, "chain: no such chain file: bas", "a shipped chain"),
        case(with_space("a.b: {choose: [1]}"), 4, "space.a.b.choose: unknown distribution", "choice?"),
        case(with_space("a.b: {choice: []}"), 4, "a list of values is expected", "choice: [lossless"),
        case(with_space("a.b: {choice: [1, 1]}"), 4, "space.a.b.choice.1: 1 is named twice", "keep one"),
        case(with_space("a.b: {uniform: [1]}"), 4, "a list of 2 numbers is expected", "the lowest"),
        case(with_space("a.b: {randint: [1, 2.5]}"), 4, "a list of 2 whole numbers", "{randint: [1, 4]}"),
        case(with_space("a.b: {uniform: [2, 1]}"), 4, "nothing lies between 2 and 1", "lower number first"),
        case(with_space("a.b: {loguniform: [0, 1]}"), 4, "0 has no logarithm", "above 0"),
        case(with_space("a.b: {low: 1, high: 2}"), 4, "a mapping (low, high) is no distribution", "choice"),
        case(with_chains("length: [0, 2]"), 7, "[0, 2] are no numbers of models", "from 1"),
        case(with_chains("length: 3"), 7, "chains.length: expected a list of 2 whole numbers", "length"),
        case(with_chains("ratio: [5, 2]"), 7, "[5, 2] are no ratios", "the least"),
        case(with_chains("list: [[T, L]]", "end: L"), 8, "list names the chains already", "remove it"),
        case(with_chains("list: [T, L]"), 7, "a list of lists of texts", "list"),
        case(
            with_chains("list:", "  - [T, L]", "  - {T: 9, L: 0}"),
            9,
            "chains.list.1.L: 0 is no number",
            "above 0",
        ),
        case(
            with_chains("list:", "  - [T, L]", "  - {T: 9, L: many}"),
            9,
            "or mappings of texts to numbers, not empty, or null, found a list of 2",
            "list",
        ),
        case(with_objective("{metric: a, mode: best}"), 8, "one of max, min", "mode"),
        case(with_objective("{metric: a, at_least: 0.5}"), 8, "only half of the question", "minimise: macs"),
        case(with_objective("{metric: a, minimise: macs}"), 8, "only half of the question", "at_least"),
        case(with_objective("{metric: a, at_least: 60, minimise: macs}"), 8, "at most 1", "at_least"),
        case(
            with_objective("{metric: a, at_least: 0.6, minimise: macs, cost: macs}"),
            8,
            "weigh the cost already",
            "remove it",
        ),
        case(
            with_objective("{metric: a, at_least: 0.6, minimise: macs, mode: min}"), 8, "and mode: min", "max"
        ),
        case(SWEEP + "search: {algorithm: tpe}\n", 9, "tpe has no end of its own", "write trials: 20"),
        case(SWEEP + "search: {algorithm: nsga2, trials: 9}\n", 9, "and there is one", "add cost: macs"),
        case(SWEEP + "seeds: [0, 0]\n", 9, "seeds.1: 0 is named twice", "keep one"),
        case(SWEEP + "seeds: [-1]\n", 9, "seeds.0: -1 is no seed", "write 0 to"),
        case(SWEEP + "seeds: []\n", 9, "seeds: expected a list of whole numbers, not empty", "seeds"),
        case(SWEEP + "seeds: [a]\n", 9, "seeds: expected a list of whole numbers", "seeds"),
        case(SWEEP + "max_concurrent: 0\n", 9, "0 trials at once train nothing", "auto"),
        case(SWEEP + "prune: {within_stage: true}\n", 9, "nobody prunes", "scheduler: asha"),
        case(
            with_objective("{metric: a, cost: macs}") + "prune: {scheduler: asha}\n",
            9,
            "compares trials by one number",
            "scheduler: none",
        ),
        case(f"name: x\nchain: base\nspace: {{}}\n{OBJECTIVE}\n", 3, "nothing is varied", "chains: {length"),
        case(
            f"name: x\nchain: base\nspace:\n  train.lr: 1e-3\n{OBJECTIVE}\n", 3, "nothing is varied", "chains"
        ),
    ],
)
def test_a_mistake(tmp_path: Path, text: str, line: int, message: str, mend: str):
    check_error(tmp_path, text, line, message, mend)


def test_several_mistakes_are_one_error(tmp_path: Path):
    text = with_space("a.b: {uniform: [2, 1]}", "c.d: {choice: []}")
    with pytest.raises(UserError, match=r"2 problems\n.*s.yaml:4: .*\n.*\n.*s.yaml:5: "):
        load(tmp_path, text)


def test_the_base_chain_lies_beside_the_sweep_wherever_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    load(tmp_path)
    monkeypatch.chdir(elsewhere)
    assert load_sweep(tmp_path / "s").chain_file == tmp_path / "base.yaml"
    (tmp_path / "sub").mkdir()
    text = bend("chain: base", "chain: ../base.yaml")
    (tmp_path / "sub" / "t.yaml").write_text(text)
    assert load_sweep(tmp_path / "sub" / "t.yaml").chain_file.resolve() == tmp_path / "base.yaml"


def test_a_shipped_chain_does_as_base(tmp_path: Path):
    assert load(tmp_path, bend("chain: base", "chain: digits")).chain_file.name == "digits.yaml"


def test_a_shipped_sweep_is_found_by_its_name():
    assert shipped_sweeps() == ["digits_quick", "emoji_orderings", "growth_distill", "orderings_vit"]
    assert find_sweep("digits_quick").parent.name == "sweeps"
    with pytest.raises(UserError, match=r"no such sweep file\n.*did you mean digits_quick\?"):
        find_sweep("digits_quik")


def test_an_override_of_the_base_chain_names_itself(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        load(tmp_path, SWEEP, "stages.9.epochs=1")
    assert caught.value.where == "--set stages.9.epochs=1"


def test_what_stays_a_first_stages_own_is_a_key_of_train():
    assert set(FITTING) < set(TrainConfig.model_fields)
