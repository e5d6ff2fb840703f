"""Distil from a teacher service in a training loop of your own.

    python -m examples.teacher_in_own_loop [FOLDER]

The teacher runs in processes of its own, here on the CPU, on a cluster on any GPU that is free; all who ask for the
same weights share it. The loop is plain PyTorch: it asks for a batch's features before it needs them, and the service
computes meanwhile. A lease keeps the service; when the last one is given back, it ends.
"""

from __future__ import annotations

from pathlib import Path

import torch
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

from examples.shapes import SIDE, main_folder, model
from ray_compt.data import Batch, normalise
from ray_compt.models import build_model, make_tokenizer, save_model
from ray_compt.teacher.autoscale import Bounds
from ray_compt.teacher.clients import ServedTeacher
from ray_compt.teacher.holding import serving
from ray_compt.teacher.lessons import lessons
from ray_compt.teacher.pool import Place
from ray_compt.teacher.service import ServiceConfig
from ray_compt.teacher.spec import spec_of
from ray_compt.train.cluster import Needs, start_ray

ROWS, STEPS = 16, 30


def main(folder: Path) -> list[float]:
    """Teach a small image tower the features of a larger one; returns the loss of each step."""
    save_model(
        folder / "teacher",
        build_model(model(64), seed=1).state_dict(),
        model(64),
        mean=OPENAI_DATASET_MEAN,
        std=OPENAI_DATASET_STD,
    )
    start_ray(None, Needs(workers=1, most=1, cpus=1, gpus=0, teacher_cpus=1))
    spec = spec_of(str(folder / "teacher"), rows=ROWS)
    service = ServiceConfig(Place(cpus=1, gpus=0), Bounds(1, 1), ttl_s=60.0, hang_s=75.0)
    with serving(spec, service, "examples"):
        return train(ServedTeacher(spec.name, timeout_s=120))


def train(teacher: ServedTeacher) -> list[float]:
    """A loop of one's own: nothing of it is known to the service."""
    student = build_model(model(32), seed=0)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    losses = []
    for lesson in lessons(batches(), [teacher], last_step=STEPS, ahead=2):
        [(image, _)] = lesson.features
        pixels = normalise(lesson.batch.image, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)
        features = student.encode_image(pixels, normalize=True)
        loss = (1 - (features * image).sum(dim=1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(
        f"1 - cos to the teacher's features: {losses[0]:.3f} at first, {losses[-1]:.3f} after {STEPS} steps"
    )
    return losses


def batches():
    """Pictures uint8 [n, 3, H, W] and tokens int64 [n, K, L], whatever they come from; here the same 16 again."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (ROWS, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    tokens = make_tokenizer(model(32))(["a picture"] * ROWS)[:, None]
    for step in range(STEPS):
        yield Batch(step, pictures, tokens, torch.ones(ROWS, dtype=torch.bool), ["noise"] * ROWS)


if __name__ == "__main__":
    main(main_folder())
