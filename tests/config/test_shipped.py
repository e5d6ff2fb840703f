"""The shipped chain files: they load, every key is explained, and they cost what they claim."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ray_compt.config import dump_chain, find_chain, load_chain, shipped_chains
from ray_compt.config.tree import Node
from ray_compt.config.yaml_io import read_yaml
from ray_compt.errors import UserError
from ray_compt.plan import plan_chain

NAMES = ["digits", "emoji", "emoji_4", "vit_3", "vit_4", "vit_7"]
# What a file leaves open.
GIVEN = {name: ["data.train=shards/*.tar"] for name in ("emoji", "emoji_4")}


def test_what_is_shipped():
    assert shipped_chains() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_survives_a_dump(name: str, tmp_path: Path):
    chain = load_chain(name, GIVEN.get(name, ()))
    assert chain.name == name
    (tmp_path / "chain.yaml").write_text(dump_chain(chain))
    assert load_chain(tmp_path / "chain.yaml") == chain


def test_the_emoji_chain_says_what_it_needs():
    with pytest.raises(UserError, match=r"data.train has no value yet\n.*--set data.train=") as caught:
        load_chain("emoji")
    assert re.search(r"emoji\.yaml:\d+$", caught.value.where or "")


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_explained_where_it_first_comes(name: str):
    text = find_chain(name).read_text()
    lines = text.splitlines()
    root = read_yaml(text, str)
    assert root is not None
    explained: set[tuple[str, ...]] = set()
    for node in walk(root):
        key = tuple(str(part) for part in node.path if isinstance(part, str))
        if not isinstance(node.path[-1], str) or key in explained:
            continue
        explained.add(key)
        line, above = lines[int(node.place) - 1], lines[int(node.place) - 2].strip()
        comment = line.partition(" #")[2] or (
            above if above.startswith("#") and f"{key[-1]}:" in above else ""
        )
        assert len(comment.split()) >= 2, f"{name}: {'.'.join(key)}"


@pytest.mark.parametrize("name", NAMES)
def test_its_head_says_how_to_run_it(name: str):
    head = find_chain(name).read_text().partition("\nname:")[0]
    assert all(line.startswith("#") for line in head.strip().splitlines())
    assert f"compt train {name}" in head


@pytest.mark.parametrize(
    "name, share, acceleration", [("vit_3", 0.36, 4.20), ("vit_4", 0.28, 5.57), ("vit_7", 0.37, 7.09)]
)
def test_the_papers_chains_cost_what_their_heads_say(name: str, share: float, acceleration: float):
    chain = load_chain(name)
    assert chain.data.samples is not None
    cost = plan_chain(chain, chain.data.samples)
    assert (round(cost.largest_share, 2), round(cost.acceleration, 2)) == (share, acceleration)
    assert f"{acceleration:.2f}x" in find_chain(name).read_text()


@pytest.mark.parametrize("name", ["vit_3", "vit_4", "vit_7"])
def test_the_papers_recipe(name: str):
    chain = load_chain(name)
    first, *grown = chain.stages
    assert (first.epochs, first.train.warmup_steps) == (128, 8000)
    assert {stage.train.warmup_steps for stage in grown} == {1000}
    epochs = [stage.epochs for stage in chain.stages]
    assert epochs == sorted(epochs, reverse=True)
    for stage in chain.stages:
        train = stage.train
        assert (train.global_batch, train.lr, train.final_lr) == (1024, 1e-3, 3e-6)
        assert (train.weight_decay, train.betas, train.eps, train.grad_clip) == (0.1, (0.9, 0.98), 1e-6, None)
        assert stage.transfer.distill.weight == pytest.approx(1000 / 512, rel=2e-3)
    assert (chain.data.captions_per_image, chain.data.image_size) == (7, 224)


def walk(node: Node) -> list[Node]:
    below = [inner for child in node.children() for inner in walk(child)]
    return [node, *below] if node.path else below
