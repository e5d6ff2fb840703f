"""How many samples a worker runs at once: what the chain file says, or the most that fits, found by trying.

A trial is a whole forward and backward pass of this worker's share, in parts, on made-up samples of the real
size. It talks to no other worker, so that one that runs out of memory leaves none waiting; the workers agree
on the least of what they found afterwards. The trial runs before `deepspeed.initialize`, on a model of its own
that holds whole weights: under ZeRO 3 the engine's forward pass fetches weights from the other workers, and
under ZeRO 2 its backward pass sends them gradients. What DeepSpeed will take is set aside meanwhile.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ray_compt.config.schema import TrainConfig
from ray_compt.data import Batch
from ray_compt.errors import UserError
from ray_compt.models.memory import is_out_of_memory
from ray_compt.storage import Place
from ray_compt.train.accumulate import backward_batch
from ray_compt.train.deepspeed_setup import zero_stage
from ray_compt.train.job import StageJob
from ray_compt.train.loss import Gathered
from ray_compt.train.objective import DTYPES, Exchange, Outputs, Targets

FILE = "micro_batch.json"
# Of a GPU's memory: its allocator never packs perfectly.
SPARE = 0.05
# DeepSpeed's default, elements.
REDUCE_BUCKET = 500_000_000


def agree_micro_batch(job: StageJob, device: torch.device) -> int:
    """The micro-batch of this worker group, the same on every worker; collective.

    `auto` tries the share, then halves it until it fits on every worker, and remembers the result in the
    stage's folder for the next start with the same model, precision, share and device.

    Raises:
        UserError: not even one sample fits.
    """
    share = job.order.global_batch // dist.get_world_size()
    asked = job.train.micro_batch
    if asked != "auto":
        return min(asked or share, share)
    key = _key(job, share, device)
    found = _remembered(job.path).get(key)
    if found is None:
        found = largest_fitting(share, _Trial(job, share, device))
    agreed = _least(found, device)
    if agreed == 0:
        raise UserError(
            "not even one sample fits the memory of a worker",
            where=f"stage {job.name}",
            mend="set train.activation_checkpointing: true, a higher train.zero_stage, more workers, "
            "or a smaller model; where only ZeRO 3 makes room for the weights, give train.micro_batch a number",
        )
    if dist.get_rank() == 0:
        _remember(job.path, key, agreed)
    return agreed


def largest_fitting(share: int, trial: Callable[[int], None]) -> int:
    """The first of share, share/2, share/4, ... that `trial` survives; 0 where not even 1 does."""
    size = share
    while size and not _fits(trial, size):
        size //= 2
    return size


def engine_bytes(parameters: int, train: TrainConfig, workers: int) -> int:
    """Bytes that DeepSpeed and AdamW hold on one worker besides weights and gradients.

    Two moments and a flat copy of the gradient, 4 bytes each; from ZeRO 1 on a master copy too, all of it
    split over workers, and the buffer that gradients are reduced in. (ZeRO, arXiv 1910.02054, section 3.)
    """
    if zero_stage(train, workers) == 0:
        return 12 * parameters
    bucket = train.deepspeed.get("zero_optimization", {}).get("reduce_bucket_size", REDUCE_BUCKET)
    return 16 * parameters // workers + int(bucket) * DTYPES[train.precision].itemsize


@contextmanager
def out_of_memory_explained(job: StageJob, micro_batch: int, device: torch.device) -> Iterator[None]:
    """Say what to do where a step runs out of memory; with `auto`, the next start tries half of it.

    Raises:
        UserError: a step with the chain file's own micro-batch ran out of memory.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if job.train.micro_batch == "auto" and micro_batch > 1:
            share = job.order.global_batch // dist.get_world_size()
            _remember(job.path, _key(job, share, device), micro_batch // 2)
            raise
        raise UserError(
            f"a worker ran out of memory with {micro_batch} samples at once",
            where=f"stage {job.name}",
            mend="set train.micro_batch to less, or to auto; train.activation_checkpointing: true and a higher "
            "train.zero_stage save memory too",
        ) from error


def _remember(folder: Place, key: str, size: int) -> None:
    """Note in a stage's folder what fits."""
    (folder / FILE).write_text(json.dumps(_remembered(folder) | {key: size}, indent=1))


def _fits(trial: Callable[[int], None], size: int) -> bool:
    try:
        trial(size)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        # A trial's tensors hang together in circles, and on the exception of one that failed.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return True


def _remembered(folder: Place) -> dict[str, int]:
    try:
        return json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        # Nothing found yet, or cut off by a crash: it is found again.
        return {}


def _key(job: StageJob, share: int, device: torch.device) -> str:
    """Names everything that decides how much fits."""
    name, memory = "cpu", 0
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        name, memory = properties.name, properties.total_memory
    train, world = job.train, dist.get_world_size()
    teachers = [teacher.width for teacher in job.teachers]
    identity: list[Any] = [job.model, job.distill.kind, teachers, job.preprocess.captions_per_image]
    identity += [train.precision, zero_stage(train, world), train.activation_checkpointing, train.deepspeed]
    identity += [train.compile, job.objective.identity]
    identity += [share, world, name, memory, torch.__version__]
    digest = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=8).hexdigest()
    return f"{name}, {train.precision}, share {share}: {digest}"


def _least(found: int, device: torch.device) -> int:
    value = torch.tensor(found, device=device)
    dist.all_reduce(value, op=dist.ReduceOp.MIN)
    return int(value)


class _Trial:
    """One step's forward and backward passes on made-up samples, without any other worker."""

    def __init__(self, job: StageJob, share: int, device: torch.device):
        self._job, self._share, self._device = job, share, device

    def __call__(self, micro_batch: int) -> None:
        job, device, objective = self._job, self._device, self._job.objective
        student = objective.build(job).to(device, DTYPES[job.train.precision])
        kept = _set_aside(job, student, device)
        batch = _made_up_batch(job, self._share)
        backward_batch(
            _Alone(),
            lambda rows: objective.outputs(student(*objective.inputs(job, student, batch, rows, device))),
            self._losses,
            self._share,
            micro_batch,
        )
        del kept

    def _losses(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """The loss of a global batch that is made of copies of this worker's share."""
        share, captions = self._share, self._job.preprocess.captions_per_image
        ones = functools.partial(torch.ones, device=self._device)
        answers = [
            (ones(share, teacher.width), ones(share, captions, teacher.width))
            for teacher in self._job.teachers
        ]
        targets = Targets(ones(share, dtype=torch.bool), [""] * share, answers, 1.0)
        loss, _ = self._job.objective.loss(self._job, outputs, targets, COPIES)
        return loss, loss.detach().reshape(1)


def _copies(image: Tensor, text: Tensor, valid: Tensor) -> Gathered:
    """Stands where `gather` does."""
    workers = dist.get_world_size()
    return Gathered(image.repeat(workers, 1), text.repeat(workers, 1, 1), valid.repeat(workers), 0)


COPIES = Exchange(_copies, lambda number: number * dist.get_world_size())


class _Alone:
    """Stands where the engine does: gradients stay with the parameters."""

    def backward(self, loss: Tensor, *, scale_wrt_gas: bool) -> None:
        loss.backward()

    def set_gradient_accumulation_boundary(self, is_boundary: bool) -> None:
        pass


def _set_aside(job: StageJob, student: nn.Module, device: torch.device) -> list[Tensor]:
    parameters = sum(parameter.numel() for parameter in student.parameters())
    size = engine_bytes(parameters, job.train, dist.get_world_size())
    if device.type == "cuda":
        size += int(SPARE * torch.cuda.get_device_properties(device).total_memory)
    return [torch.empty(size, dtype=torch.uint8, device=device)]


def _made_up_batch(job: StageJob, share: int) -> Batch:
    size, captions = job.preprocess.image_size, job.preprocess.captions_per_image
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (share, 3, size, size), dtype=torch.uint8, generator=generator)
    shape = (share, captions, job.preprocess.context_length)
    words = job.model["text_cfg"].get("vocab_size", 49408)
    text = torch.randint(0, words - 1, shape, generator=generator)
    # The largest token ends a caption: none may be shorter than a real one can be.
    text[..., -1] = words - 1
    return Batch(0, image, text, torch.ones(share, dtype=torch.bool), [], labels=[""] * share)
