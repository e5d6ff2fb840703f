"""How a worker asks: a model in its own process, or the service that all share."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
import torch

from ray_compt.data import Batch
from ray_compt.errors import TrainingError, user_error_behind
from ray_compt.teacher.directory import find
from ray_compt.teacher.frozen import FrozenModel, precision_error
from ray_compt.teacher.lessons import Early, Features
from ray_compt.teacher.spec import TeacherSpec

# How often a worker asks which replicas there are, and how long it waits before it tries a lost one again.
REFRESH_S, RETRY_S = 2.0, 0.5
# Samples of the first batch whose features are computed in fp32 too.
COMPARED = 16


class InlineTeacher:
    """A teacher inside the worker's own process.

    Args:
        tell: called once with the largest 1 - cos of some features to those in fp32, where the precision is another
            one and the device has the memory to compute both.
    """

    early = Early.NOTHING

    def __init__(self, spec: TeacherSpec, device: str, tell: Callable[[float], None] | None = None):
        self._model = FrozenModel(spec, device)
        self._tell = tell if spec.precision != "fp32" else None

    def request(self, batch: Batch) -> Batch:
        return batch

    def result(self, request: Batch) -> Features:
        image, text = self._model.embed(request.image, request.text)
        self._compare(request, (image, text))
        # Inference tensors cannot be saved for a backward pass.
        return image.clone(), text.clone()

    def _compare(self, batch: Batch, found: Features) -> None:
        tell, self._tell = self._tell, None
        if tell is None:
            return
        images, tokens, image, text = (part[:COMPARED] for part in (batch.image, batch.text, *found))
        # Out of memory, most likely: the student needs it, and trains without knowing this.
        with suppress(TrainingError, torch.OutOfMemoryError):
            tell(precision_error(self._model.spec, self._model.device, images, tokens, (image, text)))


@dataclass
class Asked:
    """A request on its way.

    Attributes:
        arguments: references of the pictures and tokens, put into the object store once whoever computes.
        answer: reference of the features.
    """

    arguments: tuple[Any, Any]
    answer: Any


class ServedTeacher:
    """A client of a teacher's service. Ray repeats what a dead replica had not answered; this class, what was lost
    with the service itself.

    Args:
        name: `TeacherSpec.name`.
        timeout_s: longest wait for the features of a batch.
        turn: number of the replica to begin with, for example the worker's rank.
    """

    early = Early.ANY_TIME

    def __init__(self, name: str, timeout_s: float, turn: int = 0):
        self._name, self._timeout_s, self._turn = name, timeout_s, turn
        self._replicas: list[Any] = []
        self._refresh: Any = None
        self._refreshed = 0.0

    def request(self, batch: Batch) -> Asked:
        arguments = ray.put(batch.image.numpy()), ray.put(batch.text.numpy())
        return Asked(arguments, self._ask(arguments, time.monotonic() + self._timeout_s))

    def result(self, request: Asked) -> Features:
        """The features, float32 [n, E] and [n, K, E] on the CPU.

        Raises:
            TrainingError: no answer within the time.
            UserError: the teacher cannot compute them.
        """
        until = time.monotonic() + self._timeout_s
        while True:
            try:
                image, text = ray.get(request.answer, timeout=max(0.0, until - time.monotonic()))
            except ray.exceptions.GetTimeoutError as error:
                raise self._silent() from error
            except ray.exceptions.RayTaskError as error:
                raise (user_error_behind(error) or error) from None
            except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
                # The service died, and its replicas with it.
                self._replicas = []
                time.sleep(RETRY_S)
                request.answer = self._ask(request.arguments, until)
                continue
            return torch.from_numpy(image.copy()), torch.from_numpy(text.copy())

    def _ask(self, arguments: tuple[Any, Any], until: float) -> Any:
        self._look()
        while not self._replicas:
            self._replicas = self._known(max(0.0, until - time.monotonic()))
            if not self._replicas:
                if time.monotonic() > until:
                    raise self._silent()
                time.sleep(RETRY_S)
        self._turn += 1
        return self._replicas[self._turn % len(self._replicas)].features.remote(*arguments)

    def _look(self) -> None:
        """Take in a changed number of replicas, without waiting."""
        try:
            if self._refresh is not None and ray.wait([self._refresh], timeout=0)[0]:
                self._replicas = _preferred(ray.get(self._refresh))
                self._refresh = None
            elif self._refresh is None and time.monotonic() - self._refreshed > REFRESH_S:
                self._refreshed = time.monotonic()
                self._refresh = find(self._name).replicas.remote()
        except (ValueError, ray.exceptions.RayError):
            self._refresh, self._replicas = None, []

    def _known(self, seconds: float) -> list[Any]:
        try:
            return _preferred(ray.get(find(self._name).replicas.remote(), timeout=seconds))
        except (ValueError, ray.exceptions.RayError):
            # It is being started, or started again.
            return []

    def _silent(self) -> TrainingError:
        return TrainingError(
            f"the teacher has not answered for {self._timeout_s:g} s",
            where="teacher",
            mend="give it more resources (teacher.cpus, teacher.gpus, teacher.replicas), raise teacher.timeout_s, "
            "or set teacher.placement: inline",
        )


def _preferred(replicas: list[tuple[Any, str]]) -> list[Any]:
    """Those on this node where there are any: pictures that they can read from the same memory are not sent."""
    here = ray.get_runtime_context().get_node_id()
    return [actor for actor, node in replicas if node == here] or [actor for actor, _ in replicas]
