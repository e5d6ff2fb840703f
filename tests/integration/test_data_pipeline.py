"""The pipeline on a real local Ray: the same batches for every worker count, from any step."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest
import ray
import torch

from ray_compt.config.schema import DataConfig
from ray_compt.data import Batch, Index, Order, Preprocess, make_preprocess, open_index, worker_batches
from ray_compt.errors import UserError
from tests.integration.harness import ray_folder
from tests.shards import make_shards, sample_key

GLOBAL_BATCH, LANES = 8, 4
BROKEN = {sample_key(0, 3): "garbage", sample_key(1, 1): "no_caption"}
DATA = DataConfig(train="unused", image_size=12, captions_per_image=2)
MODEL = {"text_cfg": {"context_length": 8, "vocab_size": 49408}}
STEPS = 9


@pytest.fixture(scope="module", autouse=True)
def local_ray() -> Iterator[None]:
    with ray_folder() as folder:
        ray.init(
            address="local",
            num_cpus=6,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=folder,
        )
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """38 usable samples in three uneven shards: four batches an epoch and a rest."""
    folder = tmp_path_factory.mktemp("shards")
    make_shards(folder, n=3, per_shard=(20, 13, 6), broken=BROKEN)
    return open_index(f"{folder}/*.tar", DATA, folder / "cache")


@pytest.fixture(scope="module")
def order(index: Index) -> Order:
    return Order(5, index.sizes, GLOBAL_BATCH, LANES, 3)


@pytest.fixture(scope="module")
def preprocess() -> Preprocess:
    return make_preprocess(DATA, MODEL, seed=5)


def fingerprint(*tensors: torch.Tensor) -> str:
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()


def rows_of(batch: Batch) -> list[tuple[str, str]]:
    return [
        (key, fingerprint(batch.image[i], batch.text[i], batch.valid[i])) for i, key in enumerate(batch.keys)
    ]


def read(index: Index, order: Order, preprocess: Preprocess, world: int, first: int = 0, **options) -> list:
    """Steps [first, STEPS): the sorted rows of each global batch, put together from all workers."""
    steps: dict[int, list] = {step: [] for step in range(first, STEPS)}
    for rank in range(world):
        batches = worker_batches(
            index,
            order,
            preprocess,
            rank=rank,
            world=world,
            first_step=first,
            last_step=STEPS,
            reader_cpus=0.25,
            first_batch_timeout_s=200,
            **options,
        )
        for expected, batch in enumerate(batches, first):
            assert batch.step == expected
            assert len(batch.keys) == GLOBAL_BATCH // world
            steps[batch.step] += rows_of(batch)
    return [sorted(rows) for rows in steps.values()]


@pytest.fixture(scope="module")
def reference(index: Index, order: Order, preprocess: Preprocess) -> list:
    """The same steps from the definition, without windows or Ray."""
    steps = []
    for step in range(STEPS):
        epoch, b = divmod(step, order.batches_per_epoch)
        rows = []
        for shard, i in order.batch(epoch, b):
            raw = next(index.read(shard, i, i + 1))
            if raw.key in BROKEN:
                image, text = torch.zeros(3, 12, 12, dtype=torch.uint8), torch.zeros(2, 8, dtype=torch.int64)
            else:
                image, text = preprocess.train(raw, epoch)
            rows.append((raw.key, fingerprint(image, text, torch.tensor(raw.key not in BROKEN))))
        steps.append(sorted(rows))
    return steps


@pytest.mark.parametrize("world,readers,segment_windows", [(1, 1, 256), (1, 3, 2), (2, 2, 3), (4, 1, 1)])
def test_global_batches_are_those_of_the_definition(
    index, order, preprocess, reference, world, readers, segment_windows
):
    found = read(index, order, preprocess, world, readers=readers, segment_windows=segment_windows)
    assert found == reference


@pytest.mark.parametrize("first", [2, 4, 7])
def test_a_run_goes_on_at_any_step(index, order, preprocess, reference, first):
    assert read(index, order, preprocess, 1, first) == reference[first:]


def test_a_broken_sample_keeps_its_row_and_the_terminal_stays_quiet(index, order, preprocess, capfd):
    batches = list(
        worker_batches(
            index, order, preprocess, rank=0, world=1, first_step=0, last_step=STEPS, reader_cpus=0.25
        )
    )
    bad = [one for batch in batches for one in batch.bad]
    assert {one.key for one in bad} == {sample_key(0, 3)}
    assert all("cannot be decoded" in one.reason and one.shard.endswith("00000.tar") for one in bad)
    for batch in batches:
        assert (batch.image.dtype, batch.text.dtype, batch.valid.dtype) == (
            torch.uint8,
            torch.int64,
            torch.bool,
        )
        assert batch.text.shape == (GLOBAL_BATCH, 2, 8)
        invalid = ~batch.valid
        assert int(invalid.sum()) == len(batch.bad)
        assert not batch.image[invalid].any()
        assert not batch.text[invalid].any()
        batch.image.add_(1)
    output = capfd.readouterr()
    assert output.out + output.err == ""


def executions() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("StreamingExecutor")]


def test_no_room_for_readers_ends_with_an_error(index, order, preprocess):
    batches = worker_batches(
        index,
        order,
        preprocess,
        rank=0,
        world=1,
        first_step=0,
        last_step=STEPS,
        reader_cpus=64,
        first_batch_timeout_s=4,
    )
    with pytest.raises(UserError, match="no batch of data came within 4 s") as caught:
        next(batches)
    assert "64" in caught.value.message
    assert "reader_cpus" in caught.value.mend
    assert executions() == []


def test_stopping_in_the_middle_leaves_nothing_running(index, order, preprocess, reference):
    for _ in range(2):
        batches = worker_batches(
            index, order, preprocess, rank=0, world=1, first_step=0, last_step=10_000, reader_cpus=0.25
        )
        assert sorted(rows_of(next(batches))) == reference[0]
        assert executions()
        batches.close()
        assert executions() == []
    assert read(index, order, preprocess, 1) == reference


def test_a_shard_that_changed_ends_the_stage(tmp_path, preprocess):
    [path] = make_shards(tmp_path / "data", n=1, per_shard=12)
    index = open_index(str(path), DATA, tmp_path / "cache")
    order = Order(0, index.sizes, GLOBAL_BATCH, LANES, 3)
    for file in (tmp_path / "cache").iterdir():
        file.unlink()
    make_shards(tmp_path / "data", n=1, per_shard=11)
    batches = worker_batches(
        index, order, preprocess, rank=0, world=1, first_step=0, last_step=2, reader_cpus=0.25
    )
    with pytest.raises(UserError, match="11 usable samples now, 12 when the run began"):
        next(batches)


def test_shards_are_indexed_by_ray_tasks(index, tmp_path):
    folder = [shard.path for shard in index.shards]
    seen = []
    again = open_index(folder, DATA, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert (again.digest, again.sizes, again.bad) == (index.digest, index.sizes, index.bad)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len(list(tmp_path.glob("*.arrow"))) == 3


def test_a_mistake_found_by_a_ray_task_stays_a_user_error(tmp_path):
    for name in ("a.tar", "b.tar"):
        (tmp_path / name).write_bytes(b"\x1f\x8b" + bytes(100))
    with pytest.raises(UserError, match="gzip") as caught:
        open_index(f"{tmp_path}/*.tar", DATA, tmp_path / "cache")
    assert "Traceback" not in str(caught.value)
