"""The classification objective: its formula, its padding, and the same gradient however the batch is divided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from ray_compt.train.accumulate import output_gradients
from ray_compt.train.classification import Classification, Classifier, Logits
from ray_compt.train.loss import classification_share
from ray_compt.train.objective import WORKERS, Exchange, Targets
from ray_compt.train.step import stat_names
from tests.train.tiny import BATCH, MODEL, difference, make_job, make_share, run_steps
from tests.train.worlds import run_world

NAMES = ("cat", "dog", "owl")
LABELS = ["cat", "owl", "", "dog", "dog", "fish", "owl", "cat"]
VALID = torch.tensor([True, True, True, False, True, True, True, True])
# Without the picture that has no class, the one that cannot be read, and the one of an unknown class.
COUNTED = [0, 1, 4, 6, 7]
OBJECTIVE = Classification(NAMES, label_smoothing=0.1)


def _logits() -> torch.Tensor:
    return torch.randn(BATCH, len(NAMES), generator=torch.Generator().manual_seed(0))


def _formula(logits: torch.Tensor) -> torch.Tensor:
    """Mean over the counted rows of -sum_c q_c log p_c, q = 0.9 one-hot + 0.1 / 3."""
    total = torch.zeros(())
    for row in COUNTED:
        target = torch.full((3,), 0.1 / 3)
        target[NAMES.index(LABELS[row])] += 0.9
        total = total - (target * logits[row].log_softmax(0)).sum()
    return total / len(COUNTED)


def _shares(logits: torch.Tensor, workers: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The sums of the workers' parts of the loss and of top-1, each worker alone in turn."""
    exchange = Exchange(WORKERS.gather, lambda count: torch.tensor(len(COUNTED)))
    size = BATCH // workers
    parts = []
    for low in range(0, BATCH, size):
        targets = Targets(VALID[low : low + size], LABELS[low : low + size])
        loss, (top1,) = OBJECTIVE.loss(None, Logits(logits[low : low + size]), targets, exchange)
        parts.append(torch.stack([loss, top1]))
    loss, top1 = torch.stack(parts).sum(dim=0)
    return loss, top1


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_workers_parts_sum_to_the_formula_and_so_do_gradients(workers: int) -> None:
    expected, ours = _logits().requires_grad_(), _logits().requires_grad_()
    formula, (loss, top1) = _formula(expected), _shares(ours, workers)
    torch.testing.assert_close(loss, formula)
    formula.backward()
    loss.backward()
    torch.testing.assert_close(ours.grad, expected.grad)
    assert ours.grad[[2, 3, 5]].abs().max() == 0, "pictures that do not count must not train anything"
    right = sum(NAMES[int(ours[row].argmax())] == LABELS[row] for row in COUNTED)
    assert top1.item() == pytest.approx(right / len(COUNTED))
    assert 0 < right < len(COUNTED)


def test_a_batch_without_classes_costs_nothing() -> None:
    classes = torch.full((BATCH,), -1)
    assert classification_share(_logits(), classes, torch.tensor(0), 0.1) == 0


def test_all_its_tensors_have_a_row_a_sample() -> None:
    def losses(outputs: Logits) -> tuple[torch.Tensor, torch.Tensor]:
        loss, _ = OBJECTIVE.loss(None, outputs, Targets(VALID, LABELS), WORKERS)
        return loss, loss.detach().reshape(1)

    ((gradient,), _) = output_gradients(Logits(_logits()), losses)
    assert gradient.shape == (BATCH, len(NAMES))
    assert Logits.shared == 0


def test_the_head_is_float32_and_the_text_tower_is_not_there() -> None:
    module = Classifier(MODEL, 3, seed=0).to(torch.bfloat16)
    (logits,) = module(torch.randn(2, 3, 8, 8).to(torch.bfloat16))
    assert logits.dtype == torch.float32
    assert {name.partition(".")[0] for name, _ in module.named_parameters()} == {"visual", "head"}


def _train(zero_stage: int, micro_batch: int | None, folder: str) -> dict[str, Any]:
    def share(step: int, rank: int, world: int) -> Any:
        batch, _ = make_share(step, rank, world)
        size = BATCH // world
        return replace(batch, labels=LABELS[rank * size : (rank + 1) * size]), None

    job = replace(make_job(zero_stage, "fp32", folder), objective=OBJECTIVE, teachers=())
    return run_steps(job, 0, 3, micro_batch, share)


def test_training_does_not_depend_on_workers_zero_stages_and_micro_batches(tmp_path) -> None:
    """Row 3 of every batch cannot be read, two have no known class, and gradients are clipped."""
    one = run_world(_train, 1, 0, None, str(tmp_path / "one"))
    other = run_world(_train, 2, 3, 3, str(tmp_path / "other"))
    assert difference(other["weights"], one["weights"]) < 1e-5
    torch.testing.assert_close(torch.tensor(other["stats"]), torch.tensor(one["stats"]), atol=1e-5, rtol=1e-5)
    assert len(one["stats"][0]) == len(stat_names(OBJECTIVE))
    assert one["weights"]["head.weight"].abs().max() > 0


def test_a_checkpoint_of_other_classes_is_another_stages() -> None:
    job = make_job(1, "fp32", "unused")
    digests = [replace(job, objective=Classification(names)).digest for names in (NAMES, NAMES[::-1])]
    assert len({job.digest, *digests}) == 3
