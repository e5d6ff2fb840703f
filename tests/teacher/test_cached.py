"""Whatever writes the cache, reading it gives the features of each sample; `Stage.run` checks every one of them."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.data.order import Order
from ray_compt.teacher import cached
from ray_compt.teacher.feature_cache import FeatureCache
from ray_compt.teacher.feature_need import drawn_samples, estimated_bytes, is_complete
from tests.teacher.fakes import Stage, Teacher, batch, check, features_of, spec

ORDER = Order(3, (23, 0, 9, 13), 8, 4, 2)
EPOCH = ORDER.batches_per_epoch


def complete(stage: Stage) -> bool:
    return is_complete(FeatureCache(stage.spec), stage.order, stage.last_step)


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 25), min_size=1, max_size=5),
    windows=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    worlds=st.lists(st.sampled_from([1, 2, 4]), min_size=2, max_size=3),
    steps=st.integers(1, 20),
    cut=st.integers(0, 20),
    augment_epochs=st.sampled_from([None, 1, 2]),
)
def test_any_stage_reads_what_any_other_wrote(sizes, windows, worlds, steps, cut, augment_epochs):
    """Written in pieces by one order and worker count, read by another order and others; then nobody is asked."""
    sizes[0] += max(0, 8 - sum(sizes))
    with tempfile.TemporaryDirectory() as folder:
        cache = spec(folder, augment_epochs)
        first = Stage(Order(3, tuple(sizes), 8, 4, windows[0]), cache, steps)
        cut = min(cut, steps)
        first.run(worlds[0], stop=cut).run(worlds[1], first=cut)
        assert complete(first)
        again = Stage(first.order, cache, steps).run(worlds[-1])
        assert again.created == 0
        # Other windows and lanes read other samples of a drawn epoch, but never wrong ones.
        other = Stage(Order(3, tuple(sizes), 8, 2, windows[1]), cache, steps)
        filled = other.run(1)
        assert complete(filled)
        assert Stage(other.order, cache, steps).run(2).created == 0
        assert first.notes == again.notes == filled.notes == []


def test_a_sample_is_asked_for_once_in_each_drawn_epoch(tmp_path):
    """Three epochs drawn as one, of which each leaves out 5 of 45 samples, others each time."""
    stage = Stage(ORDER, spec(tmp_path, 1), 3 * EPOCH).run(1)
    left_out = len(set(stage.teacher.asked)) - EPOCH * 8
    assert left_out > 0
    # The last window of an epoch may still be on its way to the disk when the next epoch's first is read.
    assert len(stage.teacher.asked) <= 45 + 2 * 16
    assert drawn_samples(ORDER, 3 * EPOCH, 1) == 45


def test_epochs_are_drawn_apart_without_augment_epochs(tmp_path):
    stage = Stage(ORDER, spec(tmp_path), 2 * EPOCH).run(2)
    assert len(stage.teacher.asked) == 2 * EPOCH * 8


@pytest.mark.parametrize("first", range(1, 2 * EPOCH))
def test_a_stage_resumed_anywhere_leaves_gaps_that_the_next_one_fills(tmp_path, first):
    """The steps before `first` were lost with their workers."""
    resumed = Stage(ORDER, spec(tmp_path), 2 * EPOCH).run(2, first=first)
    assert not complete(resumed)
    filled = Stage(ORDER, spec(tmp_path), 2 * EPOCH).run(4)
    assert len(filled.teacher.asked) == first * 8
    assert complete(filled)
    assert not list(tmp_path.rglob("*.part.arrow"))


def test_a_stage_that_stops_teaching_amid_a_window_is_complete(tmp_path):
    stage = Stage(ORDER, spec(tmp_path), 3).run(2)
    assert list(tmp_path.rglob("*.part.arrow"))
    assert complete(stage)
    assert not complete(Stage(ORDER, spec(tmp_path), 4))


@pytest.mark.parametrize("paused", range(1, EPOCH))
def test_workers_that_pause_keep_what_they_have_and_may_go_on(tmp_path, paused):
    """One request is under way when the worker is about to be replaced, and then it is not."""
    stage = Stage(ORDER, spec(tmp_path), EPOCH)
    client, batches = stage.client(0, 1), [batch(ORDER, step, 0, 1) for step in range(EPOCH)]
    waiting = client.request(batches[0])
    for step in range(EPOCH):
        following = client.request(batches[step + 1]) if step + 1 < EPOCH else None
        check(client, batches[step], waiting)
        waiting = following
        if step + 1 == paused:
            client.close()
            assert complete(Stage(ORDER, spec(tmp_path), paused))
    client.close()
    assert complete(stage)
    assert not list(tmp_path.rglob("*.part.arrow"))


def test_unreadable_samples_are_not_kept_and_asked_for_when_they_can_be_read(tmp_path):
    key = batch(ORDER, 0, 0, 1).keys[3]
    stage = Stage(ORDER, spec(tmp_path), 2).run(1, unreadable=key)
    assert complete(stage)
    again = Stage(ORDER, spec(tmp_path), 2).run(1, unreadable=key)
    assert again.created == 0
    assert Stage(ORDER, spec(tmp_path), 2).run(1).teacher.asked == [key]
    assert Stage(ORDER, spec(tmp_path), 2).run(2).created == 0


def test_features_that_are_not_finite_are_handed_on_and_not_kept(tmp_path):
    class Sick(Teacher):
        def result(self, request):
            image, text = features_of(request)
            image[request.image[:, 1, 0, 0] == 5] = float("nan")
            return image, text

    stage = Stage(Order(0, (8,), 8, 4, 1), spec(tmp_path), 1)
    stage.teacher = Sick()
    client, asked = stage.client(0, 1), batch(stage.order, 0, 0, 1)
    image, _ = client.result(client.request(asked))
    assert np.flatnonzero(~np.isfinite(image.numpy()).all(1)).tolist() == [asked.keys.index("0/5")]
    client.close()
    assert Stage(stage.order, spec(tmp_path), 1).run(1).teacher.asked == ["0/5"]


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.arrow"))


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _flip(file: Path) -> None:
    """One bit of one feature."""
    content = bytearray(file.read_bytes())
    content[content.find(features_bytes(file)) + 1] ^= 4
    file.write_bytes(bytes(content))


def features_bytes(file: Path) -> bytes:
    column = pa.ipc.open_file(file).read_all().column("image").chunk(0)
    return column.flatten().to_numpy().tobytes()


def _swap(file: Path) -> None:
    """The features of another shard or range."""
    other = next(one for one in files(file.parents[2]) if one.name != file.name)
    file.write_bytes(other.read_bytes())


@pytest.mark.parametrize(
    "harm",
    [_cut, _flip, _swap, lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"x" * 999)],
)
def test_a_damaged_file_is_computed_again_with_one_line_and_replaced(tmp_path, harm):
    stage = Stage(ORDER, spec(tmp_path), EPOCH).run(2)
    victim = files(tmp_path)[1]
    before = victim.read_bytes()
    harm(victim)
    again = Stage(ORDER, spec(tmp_path), EPOCH).run(4)
    assert len(again.notes) == 1 and again.notes[0].startswith(str(victim))
    lo, hi = (int(part) for part in victim.stem.split("-"))
    shard = int(victim.parent.name.removeprefix("shard-"))
    assert sorted(again.teacher.asked) == sorted(f"{shard}/{i}" for i in range(lo, hi))
    assert victim.read_bytes() == before
    assert stage.notes == []


def test_a_file_that_was_not_finished_is_not_seen(tmp_path):
    Stage(ORDER, spec(tmp_path), EPOCH).run(2)
    victim = files(tmp_path)[0]
    victim.rename(victim.with_name(f".{victim.name}.7.partial"))
    again = Stage(ORDER, spec(tmp_path), EPOCH)
    assert not complete(again)
    again.run(2)
    assert again.teacher.asked and again.notes == []


def test_another_identity_finds_nothing(tmp_path):
    Stage(ORDER, spec(tmp_path), EPOCH).run(1)
    other = Stage(ORDER, spec(tmp_path, seed=2), EPOCH)
    assert not complete(other)
    assert len(other.run(1).teacher.asked) == EPOCH * 8


def test_files_of_another_identity_in_our_folder_are_not_used(tmp_path):
    mine, other = spec(tmp_path), spec(tmp_path, seed=2)
    Stage(ORDER, other, EPOCH).run(1)
    os.rename(str(other.folder), str(mine.folder))
    stage = Stage(ORDER, mine, EPOCH).run(1)
    assert len(stage.teacher.asked) == EPOCH * 8
    assert "belongs elsewhere" in stage.notes[0] and len(stage.notes) == cached.NOTES


def test_a_cache_that_cannot_be_written_costs_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    stage = Stage(ORDER, spec(tmp_path / "file"), 2 * EPOCH).run(1)
    assert len(stage.teacher.asked) == 2 * EPOCH * 8
    assert len(stage.notes) == 1 and "cannot be written" in stage.notes[0]


def test_a_cache_that_cannot_be_read_costs_one_line(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    Stage(ORDER, spec(tmp_path), 2 * EPOCH).run(1)
    monkeypatch.setattr(FeatureCache, "read", refused)
    stage = Stage(ORDER, spec(tmp_path), 2 * EPOCH).run(1)
    assert len(stage.teacher.asked) == 2 * EPOCH * 8
    assert [note for note in stage.notes if "cannot be read (Permission denied)" in note] == stage.notes[:1]


def test_a_disk_that_hangs_does_not_hold_the_stage_up(tmp_path, monkeypatch):
    forever = threading.Event()
    monkeypatch.setattr(cached, "LONGEST_S", 0.05)
    monkeypatch.setattr(FeatureCache, "ranges", lambda *_: forever.wait(60) and [])
    stage = Stage(ORDER, spec(tmp_path), EPOCH).run(1)
    forever.set()
    assert len(stage.teacher.asked) == EPOCH * 8
    assert len([note for note in stage.notes if "cannot be read" in note]) == 1


def test_the_estimate_is_what_is_written(tmp_path):
    stage = Stage(ORDER, spec(tmp_path), 2 * EPOCH).run(1)
    tables = [pa.ipc.open_file(file).read_all() for file in files(tmp_path)]
    written = sum(table.drop_columns("known").nbytes for table in tables)
    assert estimated_bytes(ORDER, 2 * EPOCH, stage.spec) == written == 2 * EPOCH * 8 * (1 + 2) * 3 * 2


def test_only_windows_in_use_and_the_next_are_in_memory(tmp_path):
    stage = Stage(ORDER, spec(tmp_path), 2 * EPOCH)
    client = stage.client(0, 1)
    most = 0
    for step in range(2 * EPOCH):
        request = client.request(batch(ORDER, step, 0, 1))
        most = max(most, len(client._windows))
        client.result(request)
    client.close()
    assert most == 2 and not client._windows


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([2, 16, 512]))
def test_rounding_moves_a_cosine_by_less_than_half_a_thousandth(seed, width):
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.nn.functional.normalize(torch.randn(2, 50, width, generator=generator), dim=-1)
    moved = ((one.half().float() - one) * other).sum(-1).abs().max()
    assert moved < 0.0005


def test_an_object_store_serves_as_well(s3):
    cache = spec("s3://bucket/features")
    stage = Stage(ORDER, cache, EPOCH + 3).run(2)
    assert complete(stage)
    again = Stage(ORDER, cache, EPOCH + 3).run(4)
    assert again.created == 0 and stage.notes == again.notes == []


def test_an_object_store_that_lets_nothing_be_written_costs_one_line(s3):
    s3.plan = lambda number, method, path: "denied" if method in ("PUT", "POST") else None
    stage = Stage(ORDER, spec("s3://bucket/denied"), EPOCH).run(1)
    assert len(stage.notes) == 1 and "cannot be written (access is denied)" in stage.notes[0]
