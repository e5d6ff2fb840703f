"""The Ray actor that holds a model: it answers features, and says how much it has to do."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import ray

from ray_compt.forkserver import use_assigned_threads
from ray_compt.teacher.batcher import NOTHING, Arrays, Batcher, Load
from ray_compt.teacher.spec import TeacherSpec

if TYPE_CHECKING:
    from torch import Tensor


class TeacherReplica:
    """One copy of a frozen model; deterministic for a given sample, whatever else is asked for.

    The model loads in the background, so that the actor can say at once that it has a place.
    """

    def __init__(self, spec: TeacherSpec):
        self._spec = spec
        self._batcher: Batcher | None = None
        self._failure: BaseException | None = None
        self._error: float | None = None
        self._loaded = threading.Event()
        threading.Thread(target=self._load, name="load", daemon=True).start()

    async def ready(self) -> bool:
        """Returns once the model is loaded.

        Raises:
            UserError: it cannot be.
        """
        await asyncio.to_thread(self._loaded.wait)
        if self._failure is not None:
            raise self._failure
        return True

    async def features(self, images: np.ndarray, tokens: np.ndarray) -> Arrays:
        """Both towers' unit vectors: uint8 [n, 3, H, W] and int64 [n, K, L] to float32 [n, E] and [n, K, E]."""
        if self._batcher is None:
            await self.ready()
        assert self._batcher is not None
        return await asyncio.wrap_future(self._batcher.submit(images, tokens))

    async def state(self) -> tuple[Load, str]:
        """How much there is to do, and the id of this replica's node."""
        load = self._batcher.load() if self._batcher is not None else NOTHING
        return replace(load, error=self._error), ray.get_runtime_context().get_node_id()

    def _load(self) -> None:
        try:
            from ray_compt.teacher.frozen import FrozenModel

            use_assigned_threads()
            self._model = FrozenModel(self._spec)
            self._batcher = Batcher(self._compute, self._spec.rows)
        except BaseException as error:
            self._failure = error
        finally:
            self._loaded.set()

    def _compute(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        found = self._model.embed(images, tokens)
        if self._error is None and self._spec.precision != "fp32":
            from ray_compt.teacher.frozen import precision_error

            self._error = precision_error(self._spec, self._model.device, images, tokens, found)
        return found
