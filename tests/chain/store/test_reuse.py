"""What a run does with a store: a stage that is there is taken, any other trained and put there, whoever interrupts."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

from ray_compt.chain.folder import RunFolder, open_run
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.prepare import StagePlan, prepare
from ray_compt.chain.store.key import StageKey, Surroundings
from ray_compt.chain.store.reuse import Reuse
from ray_compt.chain.store.store import RECORD, StageStore
from ray_compt.errors import TrainingError, UserError
from ray_compt.report.terminal import Terminal
from ray_compt.storage import Place, open_place
from ray_compt.storage.place import LocalPlace

STEPS = 4


class Run:
    """A run of the fabricated chain, with what is printed."""

    def __init__(self, path: Path, store: StageStore, interrupt: Callable[[], None] = lambda: None):
        self.folder = RunFolder(open_place(path))
        chain = self.folder.read_chain()
        self.plans = prepare(chain)
        self.ledger = Ledger.open(self.folder.ledger_file)
        self._text = io.StringIO()
        self.reuse = Reuse(
            store,
            Surroundings(chain, "a" * 32, "b" * 32, None),
            lambda plan: STEPS,
            Terminal(Console(file=self._text, width=200)),
            interrupt,
        )

    @property
    def printed(self) -> str:
        return self._text.getvalue()

    @property
    def entry(self) -> StageEntry:
        return self.ledger.stages[0]

    @property
    def plan(self) -> StagePlan:
        return self.plans[0]

    @property
    def key(self) -> StageKey:
        return self.reuse.key(self.plan, [])

    def trained(self, entry: StageEntry) -> StageEntry:
        """The fabricated folder holds what training leaves; only the ledger has to say so."""
        return self.ledger.update(entry, state="done", steps=STEPS, macs=7, metrics={"zero_shot_top1": 0.5})

    def stage(self, train: Callable[[StageEntry], StageEntry] | None = None) -> None:
        self.reuse.stage(self.plan, [], self.entry, self.folder, self.ledger, train or self.trained)


def not_again(entry: StageEntry) -> StageEntry:
    raise AssertionError("it was trained already")


@pytest.fixture
def store(tmp_path: Path) -> StageStore:
    return StageStore(open_place(tmp_path / "store"))


@pytest.fixture
def maker(run: Path, store: StageStore) -> Run:
    """The fabricated run as if its first stage were still to be trained."""
    made = Run(run, store)
    made.ledger.update(made.entry, state="pending")
    return made


@pytest.fixture
def taker(maker: Run, tmp_path: Path, store: StageStore) -> Run:
    """A second run of the same chain that has nothing yet."""
    with open_run(str(tmp_path / "second"), maker.folder.read_chain()):
        pass
    return Run(tmp_path / "second", store)


def test_what_one_run_has_trained_another_takes(maker: Run, taker: Run, store: StageStore) -> None:
    maker.stage()
    assert (maker.entry.key, maker.entry.reused) == (maker.key.name, False)
    taker.stage(not_again)
    took, made = taker.entry, maker.entry
    assert (took.state, took.reused, took.key) == ("done", True, made.key)
    assert (took.steps, took.macs, took.metrics) == (made.steps, made.macs, made.metrics)
    assert took.name == taker.plan.config.name
    weights = (taker.folder.stage(took) / "model.safetensors").read_bytes()
    assert weights == (maker.folder.stage(made) / "model.safetensors").read_bytes()
    assert f"{took.name}: taken from {store}" in taker.printed
    assert Ledger.open(taker.folder.ledger_file).stages[0] == took


def test_a_stage_that_another_run_trains_is_waited_for_and_the_wait_may_be_ended(
    maker: Run, store: StageStore
) -> None:
    class Ended(BaseException):
        pass

    def interrupt() -> None:
        raise Ended

    impatient = Run(Path(str(maker.folder.path)), store, interrupt)
    with store.held(maker.key, lambda error: None), pytest.raises(Ended):
        impatient.stage(not_again)
    assert "waits, because another driver trains here" in impatient.printed
    assert (impatient.entry.state, impatient.entry.key) == ("pending", maker.key.name)
    impatient.stage()
    assert impatient.entry.state == "done"


def test_a_stage_that_fails_is_not_there_and_its_place_is_free(
    maker: Run, taker: Run, store: StageStore
) -> None:
    def fails(entry: StageEntry) -> StageEntry:
        raise TrainingError("the workers failed")

    with pytest.raises(TrainingError, match="the workers failed"):
        maker.stage(fails)
    assert store.find(maker.key) is None
    maker.stage()
    taker.stage(not_again)


def test_a_run_that_broke_off_before_it_could_offers_its_stage_later(maker: Run, taker: Run) -> None:
    entry = maker.trained(maker.ledger.update(maker.entry, key=maker.key.name))
    maker.reuse.offer(maker.plan, [], entry, maker.folder)
    taker.stage(not_again)
    assert taker.entry.reused


@pytest.mark.parametrize("key", ["", "of another version"])
def test_what_began_under_another_key_is_not_put_there(maker: Run, store: StageStore, key: str) -> None:
    maker.ledger.update(maker.entry, state="running", key=key)
    maker.stage()
    assert maker.entry.state == "done"
    assert store.find(maker.key) is None
    maker.reuse.offer(maker.plan, [], maker.entry, maker.folder)
    assert store.find(maker.key) is None


class Full(LocalPlace):
    """A disk that takes no record of a stage."""

    def __truediv__(self, name: str) -> LocalPlace:
        return Full(self.path / name)

    def write_text(self, text: str) -> None:
        if self.name == RECORD:
            raise TrainingError("cannot be written (No space left on device)")
        super().write_text(text)


def test_a_store_that_is_full_fails_no_stage(maker: Run, tmp_path: Path) -> None:
    full = Run(Path(str(maker.folder.path)), StageStore(Full(tmp_path / "full")))
    full.stage()
    assert full.entry.state == "done"
    assert "not put into" in full.printed
    assert "No space left" in full.printed
    assert full.reuse.store.find(full.key) is None


class Emptied(StageStore):
    """A store whose stages somebody removes just before they are taken."""

    def take(self, key: StageKey, target: Place) -> None:
        (self._place / key.name / "model.safetensors").remove()
        target.remove()
        with (self._place / key.name / "model.safetensors").open():
            raise AssertionError("it is gone")


def test_what_is_removed_while_it_is_taken_is_trained(maker: Run, taker: Run, tmp_path: Path) -> None:
    maker.stage()
    unlucky = Run(Path(str(taker.folder.path)), Emptied(open_place(tmp_path / "store")))
    trained = []

    def train(entry: StageEntry) -> StageEntry:
        trained.append(entry.name)
        raise TrainingError("enough")

    with pytest.raises(TrainingError, match="enough"):
        unlucky.stage(train)
    assert trained == [unlucky.entry.name]
    assert not unlucky.entry.reused


def test_a_store_that_cannot_be_written_is_named_before_anything_is_trained(
    maker: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    refused = Run(Path(str(maker.folder.path)), StageStore(open_place(tmp_path / "file")))
    with pytest.raises(UserError, match="the stage store cannot be written") as caught:
        refused.stage(not_again)
    assert caught.value.where == str(tmp_path / "file")


def test_a_damaged_stage_is_replaced_by_the_next_run(maker: Run, store: StageStore, tmp_path: Path) -> None:
    maker.stage()
    weights = tmp_path / "store" / maker.key.name / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    maker.ledger.update(maker.entry, state="pending")
    maker.stage()
    found = store.find(maker.key)
    assert found is not None
    assert found["steps"] == asdict(maker.entry)["steps"]


def test_a_key_holds_its_whole_past(maker: Run) -> None:
    small, large = maker.plans
    key = maker.reuse.key
    assert key(large, [small]) == key(large, [small])
    other = replace(small, model={**small.model, "embed_dim": 8})
    assert key(large, [small]).name != key(large, [other]).name
    # Forty keys, not a key for each of their 2^40 subsets.
    assert len(key(large, [small] * 40).name) == 32
