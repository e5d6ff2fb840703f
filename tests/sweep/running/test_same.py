"""A sweep goes on in its folder only where what its trials are is the same; what is published holds no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config.yaml_io import read_yaml
from ray_compt.sweep.running.same import changed_chain, changed_sweep, published, with_credentials
from tests.sweep.files import CHAIN, SWEEP, bend, plan, with_space

SECRET = "s3://KEY:SECRET@bucket/shards"


@pytest.mark.parametrize(
    "old, new, changed",
    [
        ("weight_decay: {choice: [0.1, 0.2]}", "weight_decay: {choice: [0.1, 0.3]}", "weight_decay.choice"),
        ("epochs: 3", "epochs: 4", "epochs"),
        ("  subsets_of: [T, S, B, L]\n", "  subsets_of: [T, S, L]\n", "chains.subsets_of"),
        ("name: small", "name: other", "name"),
        ("objective:", "seeds: [0, 1]\nobjective:", "seeds"),
        ("objective:", "search: {seed: 3}\nobjective:", "search.seed"),
        ("objective:", "prune: {scheduler: asha}\nobjective:", "prune.scheduler"),
    ],
)
def test_what_makes_trials_is_compared(old: str, new: str, changed: str) -> None:
    (found,) = changed_sweep(SWEEP, bend(old, new))
    assert found.endswith(changed)


@pytest.mark.parametrize(
    "old, new",
    [
        ("name: small", "# nothing\nname: 'small'"),
        ("metric: zero_shot_top1", "metric: image_to_text_r1, cost: macs"),
        ("objective:", "max_concurrent: 3\nretry_failed: 2\nobjective:"),
        ("objective:", "search: {trials: 40}\nobjective:"),
    ],
)
def test_what_leaves_ended_trials_as_true_may_change(old: str, new: str) -> None:
    assert changed_sweep(SWEEP, bend(old, new)) == []


def chain(text: str = CHAIN) -> dict[str, object]:
    tree = read_yaml(text, str)
    assert tree is not None
    return tree.plain()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "old, new, changed",
    [
        ("lr: 1e-3", "lr: 2e-3", ["train.lr"]),
        ("epochs: 20,", "epochs: 21,", ["stages.1.epochs"]),
        ("{growth: lossless}", "{growth: lossless, distill: {weight: 2}}", ["transfer.distill.weight"]),
        ("  lanes: 4\n", "", ["data.lanes"]),
        ("micro_batch: 8", "micro_batch: 2", []),
        ("{cpus: 2}", "{cpus: 4}", []),
        ("train: builtin:digits/train", "train: elsewhere", []),
    ],
)
def test_what_leaves_a_trace_in_a_result_is_compared(old: str, new: str, changed: list[str]) -> None:
    assert changed_chain(chain(), chain(bend(old, new, CHAIN))) == changed


def test_a_text_without_secrets_is_published_as_it_is() -> None:
    text = f"# a comment\n{SWEEP}"
    assert published(text) == text


def test_a_text_with_secrets_loses_them_and_remains_the_sweep() -> None:
    text = f"# {SECRET}\n" + with_space(f"data.train: {{choice: [here, '{SECRET}?sig=SECRET']}}")
    public = published(text)
    assert "SECRET" not in public
    assert "s3://bucket/shards" in public
    assert changed_sweep(public, text) == []
    assert changed_sweep(public, text.replace("KEY:SECRET", "OTHER:SECRET")) == [], "a key may be replaced"
    assert changed_sweep(public, text.replace("bucket", "bin")) != []


def test_recorded_values_get_their_credentials_back(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        with_space(f"data.train: {{choice: [here, '{SECRET}']}}", "train.lr: {uniform: [0.1, 0.2]}")
        + "search: {algorithm: random, trials: 9}\n",
    )
    public = {"data.train": "s3://bucket/shards", "train.lr": 0.125, "stages.S.epochs": 3.0}
    assert with_credentials(made, public) == {**public, "data.train": SECRET}
    assert with_credentials(made, {"data.train": "here"}) == {"data.train": "here"}
