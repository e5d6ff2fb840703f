"""Two runs that begin alike, at the same time and each on a Ray of its own, train what they share once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ray_compt.chain.store.store import RECORD
from tests.integration.harness import compt, largest_difference, ledger, tiny_chain, tiny_model

SMALL = {"model": tiny_model(16), "epochs": 0.3, "name": "small"}
WIDTHS = {"wide": 32, "wider": 48}


def test_chains_that_begin_alike_share_what_they_share(tmp_path: Path) -> None:
    store = tmp_path / "store"

    def train(name: str) -> str:
        stages = [
            SMALL,
            {"model": tiny_model(WIDTHS[name]), "epochs": 0.3, "name": name, "optimizer": "carry"},
        ]
        chain = tiny_chain(tmp_path, stages=stages, name=name)
        result = compt("train", chain, "--run-dir", tmp_path / name, "--store", store)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    with ThreadPoolExecutor(2) as pool:
        outputs = dict(zip(WIDTHS, pool.map(train, WIDTHS)))
    first = {name: ledger(tmp_path / name)["stages"][0] for name in WIDTHS}
    (taker,) = (name for name, entry in first.items() if entry["reused"])
    (maker,) = set(WIDTHS) - {taker}
    assert f"taken from {store}" in outputs[taker]
    assert "saved" in outputs[taker]
    assert first[maker]["key"] == first[taker]["key"] != ""
    assert first[maker]["metrics"] == first[taker]["metrics"] != {}
    assert first[maker]["macs"] == first[taker]["macs"]
    assert largest_difference(tmp_path / maker / "01-small", tmp_path / taker / "01-small") == 0
    assert len([folder for folder in store.iterdir() if (folder / RECORD).is_file()]) == 3
    for name in WIDTHS:
        entry = ledger(tmp_path / name)["stages"][1]
        assert entry["state"] == "done"
        assert not entry["reused"]
        verified = compt("verify", tmp_path / name, "--json")
        assert json.loads(verified.stdout)["well"], verified.stdout
