"""Data: sources, the index of shards, the order of samples, transforms, and the Ray Data pipeline.

The order, the captions' draw and the tar walk are pure and import neither torch nor Ray. Must not import
train, chain or cli; a sample crosses this room once, from a tar member to a row of a `Batch`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_compt.data.evaluation import EvalWindow, decode_window, evaluation_windows
    from ray_compt.data.index import Index, index_of, open_index
    from ray_compt.data.order import Order, legal_world_sizes
    from ray_compt.data.pipeline import worker_batches
    from ray_compt.data.preprocess import Preprocess, make_preprocess, normalise
    from ray_compt.data.samples import BadSample, Batch, EvalBatch, RawSample, Shard

_HOMES = {
    "evaluation": ("EvalWindow", "decode_window", "evaluation_windows"),
    "index": ("Index", "index_of", "open_index"),
    "order": ("Order", "legal_world_sizes"),
    "pipeline": ("worker_batches",),
    "preprocess": ("Preprocess", "make_preprocess", "normalise"),
    "samples": ("BadSample", "Batch", "EvalBatch", "RawSample", "Shard"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BadSample",
    "Batch",
    "EvalBatch",
    "EvalWindow",
    "Index",
    "Order",
    "Preprocess",
    "RawSample",
    "Shard",
    "decode_window",
    "evaluation_windows",
    "index_of",
    "legal_world_sizes",
    "make_preprocess",
    "normalise",
    "open_index",
    "worker_batches",
]


def __getattr__(name: str) -> Any:
    # Reading tasks import this package; only the modules that they touch should load torch or Ray.
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
