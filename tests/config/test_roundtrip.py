"""Any chain, written as YAML and read back, is the same chain."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.config import Chain, dump_chain, load_chain
from ray_compt.config.yaml_io import read_yaml, write_yaml

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
positive = st.floats(1e-12, 1e12)
shares = st.floats(0.01, 1)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20).filter(
    lambda text: text != "???"
)
paths = texts.filter(bool) | st.lists(texts.filter(bool), min_size=1, max_size=3)
inline_models = st.fixed_dictionaries(
    {
        "embed_dim": st.integers(1, 4096),
        "vision_cfg": st.dictionaries(names, st.integers() | texts | st.booleans()),
    }
)

data = st.fixed_dictionaries(
    {"train": paths, "lanes": st.sampled_from([1, 2, 4])},
    optional={
        "val": st.none() | paths,
        "samples": st.none() | st.integers(1, 10**12),
        "class_templates": st.lists(texts.map(lambda text: text + "{}"), min_size=1, max_size=3),
        "augment": st.fixed_dictionaries(
            {},
            optional={
                "ratio": st.tuples(shares, st.floats(1, 9)),
                "color_jitter": st.tuples(shares, shares, shares, st.floats(0, 0.5)),
            },
        ),
    },
)
train = st.fixed_dictionaries(
    {"global_batch": st.integers(1, 500).map(lambda n: 4 * n)},
    optional={
        "lr": positive,
        "schedule": st.sampled_from(["cosine", "wsd"]),
        "betas": st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
        "grad_clip": st.none() | positive,
        "activation_checkpointing": st.booleans(),
        "deepspeed": st.fixed_dictionaries({}, optional={"wall_clock_breakdown": st.booleans()}),
    },
)
transfer = st.fixed_dictionaries(
    {},
    optional={
        "growth": st.sampled_from(["auto", "clone", "random"]),
        "noise": st.none() | positive,
        "distill": st.fixed_dictionaries(
            {},
            optional={
                "weight": st.just("auto") | positive,
                "stop_at": shares,
                "kind": st.sampled_from(["embedding", "relational", "contrastive"]),
                # No stage has a slash in its name.
                "teachers": st.just([{"model": "/models/large", "weight": 0.5}]),
            },
        ),
    },
)
stages = st.fixed_dictionaries(
    {
        "name": names,
        "model": texts | inline_models,
        "epochs": positive,
        "train": train,
        "workers": st.just({}),
        "teacher": st.just({}),
        "transfer": transfer,
    }
)
chains = st.fixed_dictionaries(
    {
        "name": names,
        "data": data,
        "stages": st.lists(stages, min_size=1, max_size=4, unique_by=lambda stage: stage["name"]),
    },
    optional={"seed": st.integers(0, 2**32 - 1)},
).map(Chain.model_validate)


@settings(deadline=None, max_examples=30)
@given(chains)
def test_dump_and_load(chain: Chain):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chain.yaml"
        file.write_text(dump_chain(chain), encoding="utf-8")
        assert load_chain(file) == chain


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=6)


@settings(deadline=None, max_examples=80)
@given(st.dictionaries(texts, values))
def test_any_plain_data_survives_yaml(value: dict[str, object]):
    node = read_yaml(write_yaml(value), str)
    assert node is not None
    assert node.plain() == value
