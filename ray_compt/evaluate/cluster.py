"""An `Embedding` on a Ray cluster: pictures are decoded by tasks and embedded by a pool of replicas of the model.

    windows (items) --> _Decode (tasks) --> _Replica (actors, a GPU each) --> here

The only module of this room that imports Ray. A pass over all views starts the replicas once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import ray.data
import torch
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy
from torch import Tensor, nn

from ray_compt.data import EvalWindow, Preprocess, decode_window
from ray_compt.data.pipeline import cluster_cores, hush, quiet_context
from ray_compt.errors import UserError, user_error_behind
from ray_compt.evaluate.embed import Collected, Pictures, Progress, View, ignore
from ray_compt.evaluate.embedder import Embedder

# Fewer pictures than this are not worth another replica's start.
PICTURES_A_REPLICA = 4096
READER_CPUS = 0.25


@dataclass(frozen=True)
class Replicas:
    """Copies of a model on a cluster.

    Attributes:
        count: how many.
        gpus: of each; without any it gets a CPU instead.
    """

    count: int
    gpus: float


def free_replicas(pictures: int) -> Replicas:
    """As many as the cluster has GPUs (or, without any, CPUs) free for, and as the pictures are worth; perhaps none."""
    free = ray.available_resources()
    gpus = int(ray.cluster_resources().get("GPU", 0)) > 0
    # On a machine of our own Ray counts more CPUs than there are.
    room = int(free.get("GPU", 0)) if gpus else min(int(free.get("CPU", 0)), cluster_cores())
    return Replicas(min(room, -(-pictures // PICTURES_A_REPLICA)), 1.0 if gpus else 0.0)


def waiting_replicas(pictures: int) -> Replicas:
    """`free_replicas`. Raises UserError: the cluster has no room for one."""
    found = free_replicas(pictures)
    if found.count < 1:
        kind = "GPU" if found.gpus else "CPU"
        raise UserError(
            f"no {kind} is free for a replica of the model",
            where="Ray cluster",
            mend="wait until its work is done, add a node, or leave out --address to evaluate on this machine",
        )
    return found


class OnCluster:
    """A model's replicas on the Ray cluster that this process is connected to.

    Args:
        model: an open_clip CLIP on the CPU, in evaluation mode; travels through Ray's object store.
        preprocess: the pictures' side, of the model's size.
        batch: pictures, or captions, that a replica embeds at a time, to begin with.
        replicas: how many there are.
    """

    def __init__(self, model: nn.Module, preprocess: Preprocess, *, batch: int, replicas: Replicas):
        self._model = ray.put(model)
        self._preprocess, self._batch, self._replicas = preprocess, batch, replicas
        hush()

    def pictures(self, views: Sequence[View], progress: Progress = ignore) -> Mapping[View, Pictures]:
        """See `embed.Embedding`."""
        collected = [Collected(view) for view in views]
        items = [
            {"view": number, "window": json.dumps(window.parts)}
            for number, view in enumerate(views)
            for window in view.windows(self._batch)
        ]
        with DataContext.current(quiet_context()):
            rows = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
                _Decode(tuple(views), self._preprocess),
                batch_size=1,
                batch_format="numpy",
                num_cpus=READER_CPUS,
                compute=TaskPoolStrategy(size=cluster_cores()),
            )
            for block in self._through(rows, "image"):
                for number in np.unique(block["view"]):
                    rows_of_view = np.flatnonzero(block["view"] == number)
                    good = [row for row in rows_of_view if block["valid"][row]]
                    about = [json.loads(block["about"][row]) for row in good]
                    collected[number].add(
                        torch.from_numpy(block["feature"][good]),
                        [captions for captions, _ in about],
                        [label for _, label in about],
                        len(rows_of_view) - len(good),
                    )
                progress(len(block["view"]))
        return {view: one.pictures() for view, one in zip(views, collected)}

    def texts(self, tokens: Tensor, progress: Progress = ignore) -> Tensor:
        """See `embed.Embedding`."""
        parts = []
        with DataContext.current(quiet_context()):
            rows = ray.data.from_numpy([part.numpy() for part in tokens.split(self._batch)])
            for block in self._through(rows, "data"):
                parts.append(torch.from_numpy(block["feature"].copy()))
                progress(len(parts[-1]))
        return torch.cat(parts)

    def _through(self, rows: ray.data.Dataset, column: str) -> Iterator[dict[str, np.ndarray]]:
        """The rows with features instead of `column`, in order."""
        embedded = rows.map_batches(
            _Replica,
            fn_constructor_args=(self._model, self._preprocess, self._batch, column),
            batch_size=self._batch,
            batch_format="numpy",
            num_gpus=self._replicas.gpus or None,
            num_cpus=None if self._replicas.gpus else 1,
            compute=ActorPoolStrategy(size=self._replicas.count),
        )
        try:
            yield from embedded.iter_batches(batch_size=None, batch_format="numpy")
        except Exception as error:
            raise user_error_behind(error) or error from None


@dataclass(frozen=True)
class _Decode:
    """Windows in; a row a sample out, one that could not be decoded with an empty picture and valid = False."""

    views: tuple[View, ...]
    preprocess: Preprocess

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, Any]:
        number, parts = int(block["view"][0]), json.loads(block["window"][0])
        view = self.views[number]
        window = EvalWindow(tuple((shard, lo, hi) for shard, lo, hi in parts))
        batch = decode_window(view.split.index, self.preprocess, window, view.corruption)
        bad = len(batch.bad)
        images = torch.cat([batch.image, batch.image.new_zeros((bad, *batch.image.shape[1:]))])
        about = [json.dumps(pair) for pair in zip(batch.captions, batch.label)] + [""] * bad
        return {
            "view": np.full(len(images), number),
            "image": images.numpy(),
            "about": np.array(about, dtype=object),
            "valid": np.arange(len(images)) < len(batch.keys),
        }


class _Replica:
    """One copy of the model."""

    def __init__(self, model: Any, preprocess: Preprocess, batch: int, column: str):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        # Ray dereferences arguments of tasks, not those that travel inside a data set's plan.
        model = ray.get(model) if isinstance(model, ray.ObjectRef) else model
        self._embedder = Embedder(
            model.to(device), preprocess.mean, preprocess.std, batch=batch, device=device
        )
        self._column = column

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = torch.from_numpy(block.pop(self._column).copy())
        embed = self._embedder.pictures if self._column == "image" else self._embedder.texts
        return {**block, "feature": embed(rows).numpy()}
