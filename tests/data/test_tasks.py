from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest

from ray_compt.data import Order, make_preprocess, open_index
from ray_compt.data.sample_digest import sample_words
from ray_compt.data.tasks import ROW_SCHEMA, DecodeRows, ReadWindows
from ray_compt.data.windows import window_reads
from ray_compt.errors import UserError
from tests.data.test_preprocess import MODEL
from tests.shards import make_shards, sample_key


@pytest.fixture
def decoded(tmp_path, data, cache):
    broken = {sample_key(0, 2): "garbage", sample_key(1, 3): "cut"}
    make_shards(tmp_path, n=2, per_shard=8, broken=broken)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    order = Order(0, index.sizes, 8, 4, 2)
    preprocess = make_preprocess(data.model_copy(update={"captions_per_image": 2}), MODEL, seed=0)
    reads = [
        read.to_json() for read in window_reads(index, order, rank=0, world=1, first_step=0, last_step=2)
    ]
    tasks = ReadWindows(index.source), DecodeRows(preprocess)
    read, decode = pickle.loads(pickle.dumps(tasks))  # noqa: S301 (our own)
    tables = list(read(pa.table({"window": reads})))
    assert all(table.schema == ROW_SCHEMA for table in tables)
    return index, order, preprocess, decode(pa.concat_tables(tables))


def test_rows_are_the_samples_of_the_order(decoded):
    index, order, preprocess, columns = decoded
    rows = [row for b in range(2) for row in order.batch(0, b)]
    samples = [next(index.read(shard, i, i + 1)) for shard, i in rows]
    assert columns["key"].tolist() == [raw.key for raw in samples]
    words = [sample_words(shard, raw.key) for (shard, _), raw in zip(rows, samples)]
    assert list(zip(columns["word_0"].tolist(), columns["word_1"].tolist())) == words
    for i, raw in enumerate(samples):
        if columns["valid"][i]:
            image, text = preprocess.train(raw, 0)
            assert np.array_equal(columns["image"][i], image.numpy())
            assert np.array_equal(columns["text"][i], text.numpy())


def test_a_picture_that_cannot_be_decoded_keeps_its_row(decoded):
    index, _, _, columns = decoded
    bad = np.flatnonzero(~columns["valid"])
    assert sorted(columns["key"][bad]) == [sample_key(0, 2), sample_key(1, 3)]
    for i in bad:
        assert not columns["image"][i].any()
        assert not columns["text"][i].any()
        assert columns["error"][i].startswith("cannot be decoded: ")
        assert columns["shard"][i] in {shard.path for shard in index.shards}
    good = columns["valid"]
    assert set(columns["error"][good]) == {""}
    assert columns["image"].shape == (16, 3, 16, 16)
    assert columns["text"].shape == (16, 2, 12)


def test_a_tokenizer_that_cannot_be_made_is_no_bad_sample(tmp_path, data, cache):
    make_shards(tmp_path, n=1, per_shard=8)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    order = Order(0, index.sizes, 8, 4, 2)
    model = {"text_cfg": {"hf_tokenizer_name": "somebody/model", "context_length": 12}}
    decode = DecodeRows(make_preprocess(data, model, seed=0))
    [window] = window_reads(index, order, rank=0, world=1, first_step=0, last_step=1)
    [table] = ReadWindows(index.source)(pa.table({"window": [window.to_json()]}))
    with pytest.raises(UserError, match="tokenizer"):
        decode(table)
