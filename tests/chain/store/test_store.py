"""A stage store gives back what was put in, never what is damaged, and one run at a time trains a stage."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.lock import HeldElsewhere
from ray_compt.chain.store.key import StageKey
from ray_compt.chain.store.store import RECORD, StageStore, entry_fields
from ray_compt.storage import Place, open_place
from tests.chain.fabricate import SMALL
from tests.s3 import S3

KEY = StageKey({"made": "by a test"})


@pytest.fixture
def stage(run: Path) -> tuple[Place, StageEntry]:
    folder = RunFolder(open_place(run))
    entry = Ledger.open(folder.ledger_file).stages[0]
    return folder.stage(entry), replace(entry, key=KEY.name)


def _contents(place: Place) -> dict[str, bytes]:
    with place.local() as folder:
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }


@pytest.mark.parametrize("where", ["disk", "s3://bucket/store"])
def test_what_was_put_in_comes_out(
    s3: S3, tmp_path: Path, stage: tuple[Place, StageEntry], where: str
) -> None:
    place, entry = stage
    store = StageStore(open_place(where if "://" in where else tmp_path / where))
    assert store.find(KEY) is None
    (place / "initial" / "grown.safetensors").write_bytes(b"on the way")
    store.keep(KEY, place, asdict(entry))
    found = store.find(KEY)
    assert found is not None
    fields = entry_fields(found)
    assert replace(entry, **fields) == entry
    assert not fields.keys() & {"name", "folder", "key", "reused", "error"}
    target = open_place(tmp_path / "other" / SMALL)
    (target / "checkpoints" / "unfinished").write_bytes(b"goes")
    store.take(KEY, target)
    want = {name: content for name, content in _contents(place).items() if not name.startswith("initial/")}
    assert _contents(target) == want
    assert any(name.startswith("checkpoints/") for name in want)


@pytest.mark.parametrize("harm", ["model", "record", "cut", "absent", "foreign"])
def test_what_is_damaged_is_not_there(tmp_path: Path, stage: tuple[Place, StageEntry], harm: str) -> None:
    store, folder = StageStore(open_place(tmp_path / "store")), tmp_path / "store" / KEY.name
    store.keep(KEY, stage[0], asdict(stage[1]))
    assert store.find(KEY) is not None
    record = folder / RECORD
    if harm == "model":
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    elif harm == "record":
        record.write_text(record.read_text().replace('"steps": ', '"steps": 1'))
    elif harm == "cut":
        record.write_text(record.read_text()[:-9])
    elif harm == "absent":
        record.unlink()
    else:
        record.write_text(json.dumps([1]))
    assert store.find(KEY) is None
    store.keep(KEY, stage[0], asdict(stage[1]))
    assert store.find(KEY) is not None, "it is put there anew"


def test_a_second_run_waits_for_the_first(tmp_path: Path) -> None:
    store, order = StageStore(open_place(tmp_path)), []
    asked = threading.Event()

    def first() -> None:
        with store.held(KEY, lambda error: None):
            order.append("first begins")
            assert asked.wait(30)
            order.append("first ends")

    thread = threading.Thread(target=first)
    thread.start()
    while not order:
        time.sleep(0.01)

    def waiting(error: HeldElsewhere) -> None:
        assert "another driver trains here" in error.message
        asked.set()

    with store.held(KEY, waiting):
        order.append("second begins")
    thread.join(30)
    assert order == ["first begins", "first ends", "second begins"]


def test_who_waits_may_give_up(tmp_path: Path) -> None:
    store = StageStore(open_place(tmp_path))

    def give_up(error: HeldElsewhere) -> None:
        raise KeyboardInterrupt

    with store.held(KEY, lambda error: None), pytest.raises(KeyboardInterrupt), store.held(KEY, give_up):
        raise AssertionError("it is held")
    with store.held(KEY, give_up):
        pass
