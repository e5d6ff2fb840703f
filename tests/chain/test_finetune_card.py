"""A fine-tuned model gets its card once, with the lineage that its source's weights tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from ray_compt.chain.finetune_card import write_missing_card
from ray_compt.chain.folder import open_run
from ray_compt.chain.prepare import prepare
from ray_compt.config import make_chain
from ray_compt.models import build_model, save_model
from ray_compt.plan import FinetuningMacs
from tests.cli.small import MEAN, STD, small_model


def _write(folder: Path, source: str) -> Path:
    content: dict[str, Any] = {
        "name": "finetune",
        "data": {"train": "builtin:digits/train", "val": "builtin:digits/val", "image_size": 16},
        "stages": [{"name": "finetuned", "model": small_model(32), "epochs": 2}],
    }
    chain = make_chain(content, (), where="a test")
    found = {
        "model": source,
        "head": "zeros",
        "label_smoothing": 0.0,
        "classes": 10,
        "before": 0.0,
        "after": 0.5,
    }
    with open_run(str(folder / "run"), chain) as (run, ledger):
        ledger.training_samples = 1438
        ledger.update(ledger.stages[0], state="done", steps=7, samples=1792, parameters=4000)
        write_missing_card(run, chain, prepare(chain)[0], ledger, found, FinetuningMacs(2000, 0))
    return folder / "run" / "01-finetuned" / "README.md"


def test_it_tells_what_the_sources_weights_say(tmp_path: Path) -> None:
    config = small_model(32)
    weights = build_model(config, 0).state_dict()
    lineage = {"chain": "small -> large", "steps": "9"}
    save_model(tmp_path / "source", weights, config, mean=MEAN, std=STD, metadata=lineage)
    card = ModelCard(_write(tmp_path, str(tmp_path / "source")).read_text())
    assert "`small -> large`, steps `9`" in card.text
    assert "1,438 labelled pictures" in card.text and "1,792 pictures in 2 epochs, 7 steps" in card.text
    assert "| together | 2.00 k |" in card.text and "| top-1 after | 50.00 % |" in card.text


def test_open_clips_weights_have_no_such_header_and_a_changed_card_stays(tmp_path: Path) -> None:
    file = _write(tmp_path, "ViT-B-32/laion2b_s34b_b79k")
    assert "Fine-tuned from: `ViT-B-32/laion2b_s34b_b79k`" in file.read_text()
    assert "That model" not in file.read_text()
    file.write_text("mine")
    assert _write(tmp_path, "ViT-B-32/laion2b_s34b_b79k").read_text() == "mine"
