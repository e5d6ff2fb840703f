"""A stage's distillation loss over the global batch: its teachers' losses, each by its share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from ray_compt.distill.loss import (
    Side,
    Terms,
    contrastive_terms,
    embedding_terms,
    relational_terms,
    worker_share,
)
from ray_compt.train.loss import Gathered
from ray_compt.train.objective import Answer, Gather
from ray_compt.train.student import Features

if TYPE_CHECKING:
    from ray_compt.train.job import StageJob, StageTeacher


def distillation_share(
    job: StageJob, features: Features, batch: Gathered, answers: Sequence[Answer], gather: Gather
) -> Tensor:
    """This worker's share of the distillation loss, before its weight.

    Args:
        job: says the loss and the teachers.
        features: the student's, of this worker's samples.
        batch: the student's, of the global batch.
        answers: the teachers' features, one pair a teacher, on the student's device.
        gather: makes the global batch's features of this worker's.

    Returns:
        float32 scalar; the sum over workers is the loss of the global batch.
    """
    valid = batch.valid[batch.offset : batch.offset + len(features.image)]
    total = features.image.new_zeros(())
    for place, (teacher, answer) in enumerate(zip(job.teachers, answers)):
        terms = _terms(job.distill.kind, features, place, batch, teacher, answer, gather)
        share = worker_share(terms, job.distill.towers, valid, batch.valid.sum())
        total = total + teacher.share * share
    return total


def _terms(
    kind: str,
    features: Features,
    place: int,
    batch: Gathered,
    teacher: StageTeacher,
    answer: Answer,
    gather: Gather,
) -> Terms:
    image, text = features.mapped[place]
    if kind == "embedding":
        return embedding_terms(image, text, *answer)
    valid = batch.valid[batch.offset : batch.offset + len(image)]
    theirs = gather(*answer, valid)
    taught = Side(*answer, theirs.image, theirs.text, teacher.scale)
    if kind == "contrastive":
        return contrastive_terms(image, text, features.scale, taught, batch.valid, batch.offset)
    own = Side(features.image, features.text, batch.image, batch.text, features.scale)
    return relational_terms(own, taught, batch.valid)
