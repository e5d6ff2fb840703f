"""The replicas of a Ray cluster see what this process sees."""

from __future__ import annotations

import pytest
import torch

from ray_compt.config.schema import DataConfig
from ray_compt.data import make_preprocess, open_index
from ray_compt.evaluate import Embedder, Here
from ray_compt.evaluate.corruptions import Corruption
from ray_compt.evaluate.embed import Split, View
from ray_compt.models import build_model, make_tokenizer
from tests.integration.harness import tiny_model
from tests.shards import make_shards, sample_key

BATCH = 16


@pytest.mark.usefixtures("shared_ray")
def test_a_cluster_gives_the_same_features_in_the_same_order(tmp_path):
    from ray_compt.evaluate.cluster import OnCluster, Replicas, free_replicas

    broken = {sample_key(1, i): "garbage" for i in (0, 7)}
    make_shards(tmp_path, n=3, per_shard=20, size=8, broken=broken)
    data = DataConfig(train=f"{tmp_path}/*.tar", class_field="category", image_size=8)
    index = open_index(data.train, data, tmp_path / "cache")
    split = Split("shards", ("captions", "category"), None, index)
    views = [View(split), View(split, Corruption("gaussian_noise", 3, 1))]
    config = tiny_model(16)
    model, preprocess = build_model(config).eval(), make_preprocess(data, config, seed=0)
    here = Here(Embedder(model, preprocess.mean, preprocess.std, batch=BATCH), preprocess)
    there = OnCluster(model, preprocess, batch=BATCH, replicas=Replicas(2, 0.0))
    counted: list[int] = []
    expected, found = here.pictures(views), there.pictures(views, counted.append)
    for view in views:
        assert (found[view].labels, found[view].captions) == (expected[view].labels, expected[view].captions)
        assert found[view].unreadable == 2
        torch.testing.assert_close(found[view].features, expected[view].features, atol=1e-5, rtol=0)
    assert sum(counted) == 2 * 60
    tokens = make_tokenizer(config)([f"caption {number}" for number in range(40)])
    torch.testing.assert_close(there.texts(tokens), here.texts(tokens), atol=1e-5, rtol=0)
    assert [free_replicas(pictures).count for pictures in (1, 4096)] == [1, 1]
