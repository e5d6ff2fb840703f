from __future__ import annotations

import pytest

from ray_compt.config.schema import DataConfig
from ray_compt.plan.cluster.loader import DELIVERY, LoaderNeed, sample_cpu_s


def data(size=224, captions=1, resize="pillow"):
    return DataConfig(train="x", image_size=size, captions_per_image=captions, resize=resize)


@pytest.mark.parametrize(
    "size, resize, milliseconds", [(64, "pillow", 0.72), (224, "pillow", 2.00), (224, "torch", 1.24)]
)
def test_the_measured_sizes_of_the_performance_page(size, resize, milliseconds):
    assert sample_cpu_s(data(size, resize=resize)) == pytest.approx(1e-3 * DELIVERY * milliseconds)


def test_larger_pictures_and_more_captions_cost_more():
    assert sample_cpu_s(data(16)) < sample_cpu_s(data(112)) < sample_cpu_s(data(336))
    assert sample_cpu_s(data(captions=7)) - sample_cpu_s(data()) == pytest.approx(6 * 9e-6 * DELIVERY)


def test_a_need_is_a_rate_times_a_sample():
    need = LoaderNeed(samples_s=1000, cpu_s=0.002, bytes=30e3)
    assert (need.cores, need.megabytes_s) == (2, 30)
