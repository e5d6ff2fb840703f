"""Distillation over the global batch: every kind and several teachers, the same for every number of workers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from ray_compt.distill.settings import DistillPlan
from ray_compt.teacher import TeacherSpec
from ray_compt.train.distilling import distillation_share
from ray_compt.train.job import StageJob, StageTeacher
from ray_compt.train.loss import gather, unit
from ray_compt.train.student import Features, Student
from tests.train.tiny import BATCH, CAPTIONS, MODEL, STEPS, Share, difference, make_job, make_share, run_steps
from tests.train.worlds import run_world, run_worlds

KINDS = ("embedding", "relational", "contrastive")
TOWERS = ("both", "image", "text")
OWN, OTHER = MODEL["embed_dim"], 12
BAD_ROW = 3


def _job(kind: str, towers: str = "both", folder: str = "") -> StageJob:
    """Two teachers, one of the student's own width."""
    spec = TeacherSpec("", "", (), ())
    teachers = (StageTeacher(spec, OTHER, 0.75, 30.0), StageTeacher(spec, OWN, 0.25, 15.0))
    plan = DistillPlan(1.0, 1.0, "none", "", kind, towers)
    return replace(make_job(1, "fp32", folder), distill=plan, teachers=teachers)


def _draw(seed: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(BATCH, width, generator=generator)
    return image, torch.randn(BATCH, CAPTIONS, width, generator=generator)


def _losses_and_gradients() -> dict[tuple[str, str], dict[str, torch.Tensor]]:
    """Of every kind and choice of towers, put together from all workers' shares."""
    import torch.distributed as dist

    rank, rows = dist.get_rank(), BATCH // dist.get_world_size()
    share = slice(rank * rows, (rank + 1) * rows)
    image, text = _draw(0, OWN)
    valid = (torch.arange(BATCH) != BAD_ROW)[share]
    answers = [tuple(unit(part)[share] for part in _draw(seed, w)) for seed, w in ((1, OTHER), (2, OWN))]
    found = {}
    for kind in KINDS:
        for towers in TOWERS:
            leaves = [image[share].clone().requires_grad_(), text[share].clone().requires_grad_()]
            scale = torch.tensor([7.0], requires_grad=True)
            own = (unit(leaves[0]), unit(leaves[1]))
            narrow = (unit(leaves[0][..., :OTHER]), unit(leaves[1][..., :OTHER]))
            features = Features(scale, *own, (narrow, own))
            loss = distillation_share(_job(kind, towers), features, gather(*own, valid), answers, gather)
            gradients = torch.autograd.grad(loss, [scale, *leaves], allow_unused=True)
            found[kind, towers] = _joined(loss.detach(), *gradients)
    return found


def _joined(loss: torch.Tensor, scale: Any, image: Any, text: Any) -> dict[str, torch.Tensor]:
    import torch.distributed as dist

    sums = {"loss": loss.clone(), "scale": torch.zeros(1) if scale is None else scale.clone()}
    for value in sums.values():
        dist.all_reduce(value)
    for name, gradient in (("image", image), ("text", text)):
        if gradient is not None:
            parts = [torch.empty_like(gradient) for _ in range(dist.get_world_size())]
            dist.all_gather(parts, gradient.contiguous())
            sums[name] = torch.cat(parts)
    return sums


@pytest.fixture(scope="module")
def found() -> list[dict[tuple[str, str], dict[str, torch.Tensor]]]:
    return run_worlds(_losses_and_gradients, [(1, ()), (2, ()), (4, ())])


@pytest.mark.parametrize("towers", TOWERS)
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_do_not_depend_on_the_number_of_workers(
    found: list[dict], kind: str, towers: str
) -> None:
    one, *others = (world[kind, towers] for world in found)
    for other in others:
        assert other.keys() == one.keys()
        for name, tensor in one.items():
            torch.testing.assert_close(other[name], tensor, atol=1e-6, rtol=1e-5)
    assert one["loss"] > 0
    assert (one["scale"] != 0) == (kind != "embedding")
    for name in ("image", "text"):
        # The rows of one tower's similarities reach the other tower through their columns.
        learns = towers in ("both", name) or kind == "relational"
        assert (name in one and bool(one[name].abs().max() > 0)) == learns
        if learns:
            assert one[name][BAD_ROW].abs().max() == 0, "an unreadable sample must not train anything"


@pytest.mark.parametrize("kind", KINDS)
def test_both_towers_are_the_sum_of_each(found: list[dict], kind: str) -> None:
    both, image, text = (found[0][kind, towers]["loss"] for towers in TOWERS)
    torch.testing.assert_close(both, image + text)


def test_teachers_count_by_their_shares() -> None:
    own, valid = tuple(map(unit, _draw(0, OWN))), torch.ones(BATCH, dtype=torch.bool)
    features = Features(torch.tensor([7.0]), *own, (own, own))
    answers = [tuple(map(unit, _draw(seed, OWN))) for seed in (1, 2)]

    def loss(*shares: float) -> torch.Tensor:
        teachers = tuple(StageTeacher(TeacherSpec("", "", (), ()), OWN, share) for share in shares)
        job = replace(_job("embedding"), teachers=teachers)
        return distillation_share(job, features, gather(*own, valid), answers, gather)

    torch.testing.assert_close(loss(0.75, 0.25), 0.75 * loss(1.0, 0.0) + 0.25 * loss(0.0, 1.0))
    assert loss(1.0, 0.0) != loss(0.0, 1.0)


def test_maps_are_learnt_where_features_of_another_width_are_compared() -> None:
    for kind in KINDS:
        job = _job(kind)
        names = [name for name, _ in Student(MODEL, job.map_widths, 0).named_parameters() if "maps" in name]
        wanted = [] if kind == "relational" else ["maps.0.image", "maps.0.text"]
        assert names == wanted, kind


def test_a_checkpoint_belongs_to_the_maps_that_it_holds() -> None:
    embedding, relational, contrastive = (_job(kind).digest for kind in KINDS)
    assert embedding == contrastive != relational
    alone = replace(_job("relational"), teachers=())
    assert alone.digest == relational, "nothing is learnt for these teachers"


def _two_answers(step: int, rank: int, world: int) -> Share:
    """A second teacher, of the student's width, beside that of `make_share`."""
    batch, (first,) = make_share(step, rank, world)
    rows = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    image, text = _draw(100 + step, OWN)
    return batch, (first, (unit(image)[rows], unit(text)[rows]))


def _train(micro_batch: int | None, folder: str) -> dict[str, Any]:
    return {
        kind: run_steps(_job(kind, folder=f"{folder}/{kind}"), 0, STEPS, micro_batch, _two_answers)
        for kind in KINDS
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_world(_train, 1, None, str(tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize(("workers", "micro_batch"), [(1, 3), (2, None), (4, 1)])
def test_workers_and_micro_batches_train_like_the_whole_batch(
    whole: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, workers: int, micro_batch: int | None
) -> None:
    """Through DeepSpeed, with learnt maps, two teachers, two captions and an unreadable row."""
    ours = run_world(_train, workers, micro_batch, str(tmp_path_factory.mktemp("parts")))
    for kind in KINDS:
        torch.testing.assert_close(
            torch.tensor(ours[kind]["stats"]), torch.tensor(whole[kind]["stats"]), atol=1e-4, rtol=1e-5
        )
        assert difference(ours[kind]["weights"], whole[kind]["weights"]) < 1e-5, kind
