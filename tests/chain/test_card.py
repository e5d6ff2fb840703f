"""Finished models get a card, once; with it their folder is what open_clip and the hub expect."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch
from huggingface_hub import ModelCard

from ray_compt.chain.card import write_card, write_missing_cards
from ray_compt.chain.folder import RunFolder, add_individuals
from ray_compt.chain.ledger import Ledger
from ray_compt.chain.prepare import prepare, prepare_individuals
from ray_compt.chain.verify_files import check_export
from ray_compt.models.store import CONFIG_FILE, WEIGHTS_FILE
from ray_compt.report.card_parts import CARD_FILE
from ray_compt.storage import Place, open_place
from tests.chain.fabricate import LARGE, SIZES, SMALL
from tests.s3 import S3


def write_cards(place: Place, *, individual: bool = False) -> tuple[RunFolder, Ledger]:
    """As a run that is continued does."""
    folder = RunFolder(place)
    chain, ledger = folder.read_chain(), Ledger.open(folder.ledger_file)
    ledger.training_samples = sum(SIZES)
    alone = []
    if individual:
        add_individuals(ledger, chain)
        alone = prepare_individuals(chain)
        ledger.update(ledger.individual[1], state="done")
    write_missing_cards(folder, chain, ledger, prepare(chain), alone)
    return folder, ledger


def test_only_what_is_done_gets_a_card_and_keeps_its_checksums(run: Path):
    write_cards(open_place(run))
    assert (run / SMALL / CARD_FILE).is_file() and not (run / LARGE / CARD_FILE).exists()
    assert check_export(open_place(run / SMALL)).faults == {}


def test_a_card_that_was_changed_stays(run: Path):
    (run / SMALL / CARD_FILE).write_text("mine")
    write_cards(open_place(run))
    assert (run / SMALL / CARD_FILE).read_text() == "mine"


def test_an_individual_model_has_its_own_card_and_the_shared_first_one_none(run: Path):
    write_cards(open_place(run), individual=True)
    text = (run / "individual" / LARGE / CARD_FILE).read_text()
    assert "trained alone from scratch, as the baseline of stage 2" in text and "| small |" not in text
    assert not (run / "individual" / SMALL).exists()
    assert "stage 1 of 2" in (run / SMALL / CARD_FILE).read_text()


def test_it_tells_of_all_stages_before(run: Path):
    folder, ledger = write_cards(open_place(run))
    chain = folder.read_chain()
    entries = [replace(entry, macs=10**9 * number) for number, entry in enumerate(ledger.stages, start=1)]
    write_card(folder, chain, sum(SIZES), list(zip(prepare(chain), entries)))
    text = (run / LARGE / CARD_FILE).read_text()
    assert "| small |" in text and "| large |" in text
    assert "| with all before it in the chain | 3.00 G |" in text


def test_in_an_object_store(run: Path, s3: S3):
    place = open_place("s3://bucket/run")
    for file in ("chain.yaml", "ledger.json"):
        (place / file).write_bytes((run / file).read_bytes())
    write_cards(place)
    assert ModelCard((place / SMALL / CARD_FILE).read_text()).data.library_name == "open_clip"


def test_uploaded_as_the_card_says_open_clip_loads_it_from_the_hub(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The hub is its own cache, filled by the card's commands."""
    write_cards(open_place(run))
    card = (run / SMALL / CARD_FILE).read_text()
    uploads = re.findall(r"^hf upload USER/REPO (\S+) (\S+)$", card, re.MULTILINE)
    assert {source for source, _ in uploads} == {WEIGHTS_FILE, CONFIG_FILE, CARD_FILE}
    repository = tmp_path / "hub" / "models--USER--REPO"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for source, target in uploads:
        shutil.copy(run / SMALL / source, snapshot / target)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    hub = {"cache_dir": str(tmp_path / "hub")}
    theirs, _, _ = open_clip.create_model_and_transforms("hf-hub:USER/REPO", **hub)
    ours, _, _ = open_clip.create_model_and_transforms(f"local-dir:{run / SMALL}")
    tokens = open_clip.get_tokenizer("hf-hub:USER/REPO", **hub)(["a dog"])
    with torch.no_grad():
        assert torch.equal(theirs.eval().encode_text(tokens), ours.eval().encode_text(tokens))
