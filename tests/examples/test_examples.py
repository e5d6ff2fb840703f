"""The examples that need no Ray, and what the others are made of; `tests/integration/test_examples.py` runs those."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from rich.console import Console

from examples import compositions, from_checkpoint, grow_one, own_objective
from examples.shapes import PER_SHARD, TRAIN, VAL, chain, model, write_shards
from ray_compt.chain import train_chain
from ray_compt.chain.prepare import prepare
from ray_compt.config import make_chain
from ray_compt.config.schema import DataConfig
from ray_compt.config.sweep_file import load_sweep
from ray_compt.config.yaml_io import write_yaml
from ray_compt.data import open_index
from ray_compt.sweep.check import check_sweep
from ray_compt.train.loss import Gathered

FOLDER = Path(grow_one.__file__).parent
DATA = DataConfig(train="unused", class_field="class")


def test_the_shapes_are_whole_and_always_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_shards(tmp_path / name)
    found = [
        [
            open_index(f"{tmp_path}/{name}/{split}-*.tar", DATA, tmp_path / "cache")
            for split in ("train", "val")
        ]
        for name in ("a", "b")
    ]
    assert [index.samples for index in found[0]] == [TRAIN, VAL]
    assert [index.digest for index in found[0]] == [index.digest for index in found[1]]
    assert all(not index.bad and len(index.class_names) == 12 for index in found[0])
    [raw] = found[0][0].read(3, PER_SHARD - 1, PER_SHARD)
    assert len(raw.captions) == 3
    assert str(raw.label) in raw.captions[0]


def test_one_checkpoint_is_grown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grow_one.main(tmp_path) < 1e-5
    assert "(lossless)" in capsys.readouterr().out


def test_a_chain_starts_from_a_plain_open_clip_checkpoint(tmp_path: Path) -> None:
    folder = from_checkpoint.write_checkpoint(tmp_path / "theirs")
    stages = [{"name": "first", "model": model(48), "epochs": 1, "init": f"local-dir:{folder}"}]
    [plan] = prepare(make_chain(chain(tmp_path, stages), (), where="test"))
    assert "(lossless) from local-dir:" in plan.growth_text


def test_the_sweep_shares_what_its_chains_have_in_common(tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(write_yaml(chain(tmp_path, compositions.STAGES)))
    (tmp_path / "sweep.yaml").write_text(write_yaml(compositions.SWEEP))
    plan = check_sweep(load_sweep(str(tmp_path / "sweep.yaml")))
    candidates = plan.candidates().candidates
    assert [candidate.stages for candidate in candidates] == [
        ("tiny", "large"),
        ("tiny", "middle", "large"),
    ]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_objectives_parts_sum_to_the_formula(workers: int) -> None:
    generator = torch.Generator().manual_seed(0)
    image = F.normalize(torch.randn(8, 5, generator=generator), dim=-1).requires_grad_()
    text = F.normalize(torch.randn(8, 2, 5, generator=generator), dim=-1).requires_grad_()
    valid = torch.tensor([True] * 6 + [False, True])
    scale = torch.tensor(3.0)
    rows = 8 // workers
    parts = [
        own_objective.decoupled_loss(
            image[start : start + rows],
            text[start : start + rows],
            scale,
            Gathered(image, text, valid, start),
        )
        for start in range(0, 8, rows)
    ]
    loss = sum(part for part, _ in parts)
    expected, alignment = _by_the_formula(image.detach(), text.detach(), valid, 3.0)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert sum(part.item() for _, part in parts) == pytest.approx(alignment, rel=1e-5)
    loss.backward()
    assert image.grad is not None and bool(image.grad.isfinite().all())
    assert not image.grad[6].any()


def test_a_store_knows_no_objective_but_clips(tmp_path: Path) -> None:
    alone = make_chain(chain(tmp_path, [{"model": model(32), "epochs": 1}]), (), where="test")
    with pytest.raises(ValueError, match="CLIP's own objective"):
        train_chain(
            alone,
            str(tmp_path / "run"),
            store=str(tmp_path),
            objective=own_objective.Decoupled(),
            console=Console(),
        )
    assert not (tmp_path / "run").exists()


def _by_the_formula(
    image: torch.Tensor, text: torch.Tensor, valid: torch.Tensor, scale: float
) -> tuple[float, float]:
    used = [i for i in range(len(image)) if valid[i]]
    total = alignment = 0.0
    for k in range(text.shape[1]):
        s = (scale * image @ text[:, k].T).tolist()
        for i in used:
            others = [j for j in used if j != i]
            to_text = math.log(sum(math.exp(s[i][j]) for j in others))
            to_image = math.log(sum(math.exp(s[j][i]) for j in others))
            total += to_text + to_image - 2 * s[i][i]
            alignment += s[i][i] / scale
    count = text.shape[1] * len(used)
    return total / (2 * count), alignment / count


def test_every_example_says_what_it_shows_and_how_it_is_run() -> None:
    files = [file for file in FOLDER.glob("*.py") if file.stem != "shapes"]
    assert len(files) == 6
    for file in files:
        text = ast.get_docstring(ast.parse(file.read_text())) or ""
        assert f"python -m examples.{file.stem} [FOLDER]" in text
        assert f"examples/{file.name}" in (FOLDER.parent / "docs" / "examples.md").read_text()
