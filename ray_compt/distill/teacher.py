"""The frozen predecessor as a server of features: in a Ray actor for all workers, or inside each worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import ray
import torch
from torch import Tensor

from ray_compt.data import Batch, normalise
from ray_compt.errors import TrainingError
from ray_compt.models import build_model, load_config, load_state
from ray_compt.models.short_text import without_padding

# Samples that run at once: a worker's share may be more than a device holds.
ROWS = 256


@dataclass(frozen=True)
class TeacherSpec:
    """Which model teaches and what it expects.

    Attributes:
        folder: a finished stage's folder, readable from every node that may run the teacher.
        mean, std: of the picture normalisation, one value a channel.
        precision: torch dtype's name of its weights, "float32" or "bfloat16".
    """

    folder: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    precision: str = "float32"


class Teacher:
    """A frozen model that answers features; deterministic for a given request."""

    def __init__(self, spec: TeacherSpec, device: str | None = None):
        self._spec = spec
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = getattr(torch, spec.precision)
        model = build_model(load_config(spec.folder))
        model.load_state_dict(load_state(spec.folder))
        self._model = model.eval().requires_grad_(False).to(self._device, self._dtype)

    def ready(self) -> bool:
        return True

    def features(self, images: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both towers' unit vectors, float32: uint8 [n, 3, H, W] and int64 [n, K, L] to [n, E] and [n, K, E]."""
        # Arrays from the object store are read-only, which torch warns about.
        image, text = self.embed(torch.from_numpy(images.copy()), torch.from_numpy(tokens.copy()))
        return image.cpu().numpy(), text.cpu().numpy()

    @torch.inference_mode()
    def embed(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """`features` on tensors, `ROWS` at a time; the result stays on the teacher's device."""
        image, text = zip(*map(self._embed, images.split(ROWS), tokens.split(ROWS)))
        return torch.cat(image), torch.cat(text)

    def _embed(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        pixels = normalise(images.to(self._device), self._spec.mean, self._spec.std).to(self._dtype)
        captions = without_padding(self._model, tokens.flatten(0, 1)).to(self._device)
        image = self._model.encode_image(pixels).float()
        text = self._model.encode_text(captions).float()
        image = torch.nn.functional.normalize(image, dim=-1)
        text = torch.nn.functional.normalize(text, dim=-1)
        return image, text.unflatten(0, tokens.shape[:2])


class TeacherClient(Protocol):
    """What a worker asks for features: `request` returns at once, `result` waits."""

    def request(self, batch: Batch) -> Any: ...

    def result(self, request: Any) -> tuple[Tensor, Tensor]: ...


class InlineTeacher:
    """A teacher inside the worker's own process."""

    def __init__(self, spec: TeacherSpec, device: str):
        self._teacher = Teacher(spec, device)

    def request(self, batch: Batch) -> Batch:
        return batch

    def result(self, request: Batch) -> tuple[Tensor, Tensor]:
        image, text = self._teacher.embed(request.image, request.text)
        # Inference tensors cannot be saved for a backward pass.
        return image.clone(), text.clone()


class ActorTeacher:
    """A client of the shared actor; Ray restarts a dead one and repeats what it had not answered."""

    def __init__(self, actor: Any, timeout_s: float):
        self._actor, self._timeout_s = actor, timeout_s

    def request(self, batch: Batch) -> Any:
        return self._actor.features.remote(batch.image.numpy(), batch.text.numpy())

    def result(self, request: Any) -> tuple[Tensor, Tensor]:
        try:
            image, text = ray.get(request, timeout=self._timeout_s)
        except ray.exceptions.GetTimeoutError as error:
            raise TrainingError(
                f"the teacher has not answered for {self._timeout_s:g} s",
                where="teacher",
                mend="give it more resources (teacher.cpus, teacher.gpus), raise teacher.timeout_s, "
                "or set teacher.placement: inline",
            ) from error
        return torch.from_numpy(image.copy()), torch.from_numpy(text.copy())


def start_teacher(spec: TeacherSpec, *, cpus: float, gpus: float) -> Any:
    """Start the shared actor; it comes back by itself after a crash, without losing requests."""
    actor = ray.remote(Teacher).options(
        num_cpus=cpus, num_gpus=gpus, max_restarts=-1, max_task_retries=-1, max_concurrency=1
    )
    return actor.remote(spec)


def with_features(
    batches: Iterable[Batch], client: TeacherClient | None, last_step: int
) -> Iterator[tuple[Batch, tuple[Tensor, Tensor] | None]]:
    """Pair each batch with its teacher features, asking one batch ahead.

    Args:
        batches: in order of their steps.
        client: None: no batch has features.
        last_step: batches from this step on have none.
    """

    def ask(batch: Batch) -> Any:
        return client.request(batch) if client is not None and batch.step < last_step else None

    waiting: tuple[Batch, Any] | None = None
    for batch in batches:
        request = ask(batch)
        if waiting is not None:
            yield _answered(client, waiting)
        waiting = (batch, request)
    if waiting is not None:
        yield _answered(client, waiting)


def _answered(client: TeacherClient | None, waiting: tuple[Batch, Any]) -> Any:
    batch, request = waiting
    if client is None or request is None:
        return batch, None
    return batch, client.result(request)
