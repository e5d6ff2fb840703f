"""One task on one model: what each kind does with features.

A kind is a function that makes a `Score` (features of pictures -> what they come to) from the task and from what it
learns; corrupted pictures go through the same `Score` as clean ones. A further kind is such a function, a line in
`_KINDS`, and a word in `config/suite_keys.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ray_compt.config.suite_keys import Kind
from ray_compt.evaluate.accuracy import Judged, classification, judge
from ray_compt.evaluate.embed import Pictures, View
from ray_compt.evaluate.intervals import bootstrap_interval
from ray_compt.evaluate.logistic import choose_l2, few_shot_rows, fit_logistic
from ray_compt.evaluate.metrics import RECALL_AT, caption_ranks, ranks, recall, require_finite
from ray_compt.evaluate.neighbours import knn_votes
from ray_compt.evaluate.tasks import Task, check_some_known
from ray_compt.evaluate.texts import caption_pairs, class_features, prompts_of


@dataclass(frozen=True)
class Measured:
    """What a task came to.

    Attributes:
        metrics: fractions in [0, 1], by name.
        intervals: 95 % confidence intervals of some of them.
        facts: what else there is to know: numbers of classes, of pictures, what was chosen.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


Score = Callable[[Pictures], Measured]


@dataclass(frozen=True)
class Seen:
    """All that a model saw.

    Attributes:
        pictures: by view.
        texts: unit features [E] of each text, float32 on the CPU.
        scale: the factor of the model's similarities, exp(logit_scale); None where it has none.
        device: where to compute.
    """

    pictures: Mapping[View, Pictures]
    texts: Mapping[str, Tensor]
    scale: float | None
    device: str | torch.device

    def read(self, texts: Sequence[str]) -> Tensor:
        """Unit features [n, E] of texts, on the device."""
        return torch.stack([self.texts[text] for text in texts]).to(self.device)

    def look(self, pictures: Pictures) -> Tensor:
        """Unit features [N, E], on the device. Raises UserError: NaN or infinite ones."""
        require_finite(pictures.features)
        return pictures.features.to(self.device)


def measure(task: Task, seen: Seen) -> tuple[Measured, dict[str, dict[str, float]]]:
    """A task's result, and its metrics under each corruption.

    Raises:
        UserError: features that are not finite, or no picture with a class.
    """
    score = _KINDS[task.config.kind](task, seen)
    worse = {name: score(seen.pictures[view]).metrics for name, view in task.corrupted.items()}
    return score(seen.pictures[task.view]), worse


def texts_of(task: Task, pictures: Mapping[View, Pictures]) -> list[str]:
    """The texts that a task compares pictures with."""
    if task.config.kind == "zero_shot" and task.classes is not None:
        return prompts_of(task.classes.names, task.templates)
    if task.config.kind == "retrieval":
        return caption_pairs(pictures[task.view].captions, task.config.captions)[0]
    return []


def zero_shot(task: Task, seen: Seen) -> Score:
    """Pictures sorted to the class whose prompts are nearest."""
    assert task.classes is not None
    names = task.classes.names
    classes = class_features(seen.read(prompts_of(names, task.templates)), len(names))
    require_finite(classes)
    scale = seen.scale or 1.0
    facts = {"classes": len(names), "prompts": len(task.templates)}
    return _classifier(
        task, seen, lambda features: scale * features @ classes.T, facts, calibrated=seen.scale is not None
    )


def retrieval(task: Task, seen: Seen) -> Score:
    """Pictures find their captions, and captions their pictures."""

    def score(pictures: Pictures) -> Measured:
        texts, pairs = caption_pairs(pictures.captions, task.config.captions)
        images, captions = seen.look(pictures), seen.read(texts)
        to_text = ranks(images, captions, pairs).cpu()
        to_image = caption_ranks(images, captions, pairs).cpu()
        # Captions ask for their picture's sake: a resample of pictures takes all captions of each.
        asked = torch.bincount(pairs[:, 0], minlength=len(images))
        found = torch.bincount(pairs[:, 0], weights=(to_image < 1).double(), minlength=len(images))
        return Measured(
            {
                **{f"image_to_text_r{k}": share for k, share in recall(to_text, RECALL_AT).items()},
                **{f"text_to_image_r{k}": share for k, share in recall(to_image, RECALL_AT).items()},
            },
            {
                "image_to_text_r1": bootstrap_interval(to_text < 1, seed=task.seed),
                "text_to_image_r1": bootstrap_interval(found, asked, seed=task.seed),
            },
            {"pictures": len(images), "captions": len(pairs), "distinct_captions": len(texts)},
        )

    return score


def linear_probe(task: Task, seen: Seen) -> Score:
    """Logistic regression on the training pictures, its regularisation chosen on a part that is held out of them."""
    features, labels, facts = _learn_from(task, seen)
    classes = facts["classes"]
    choice = choose_l2(features, labels, classes, task.seed)
    classifier = fit_logistic(features, labels, classes, choice.l2)
    facts |= {"l2": choice.l2, "held_out_top1": choice.held_out_top1}
    return _classifier(task, seen, classifier, facts, calibrated=True)


def knn(task: Task, seen: Seen) -> Score:
    """The votes of the nearest training pictures."""
    bank, labels, facts = _learn_from(task, seen)
    facts |= {"k": min(task.config.k, len(bank))}
    return _classifier(
        task,
        seen,
        lambda features: knn_votes(features, bank, labels, facts["classes"], facts["k"]),
        facts,
        calibrated=False,
    )


def few_shot(task: Task, seen: Seen) -> Score:
    """Logistic regression on a few pictures of each class, drawn several times."""
    features, labels, facts = _learn_from(task, seen)
    config = task.config
    fitted = {
        shots: [
            fit_logistic(features[rows], labels[rows], facts["classes"], config.l2)
            for draw in range(config.draws)
            for rows in [few_shot_rows(labels, shots, task.seed, draw)]
        ]
        for shots in config.shots
    }

    def score(pictures: Pictures) -> Measured:
        metrics: dict[str, float] = {}
        count = 0
        for shots, classifiers in fitted.items():
            judged = [_judge(task, seen, pictures, classifier) for classifier in classifiers]
            reached = [one.right.double().mean().item() for one in judged]
            count = len(judged[0].labels)
            metrics[f"top1_{shots}shot"] = statistics.mean(reached)
            metrics[f"top1_{shots}shot_std"] = statistics.stdev(reached)
        return Measured(metrics, {}, {**facts, "draws": config.draws, "pictures": count})

    return score


_KINDS: dict[Kind, Callable[[Task, Seen], Score]] = {
    "zero_shot": zero_shot,
    "retrieval": retrieval,
    "linear_probe": linear_probe,
    "knn": knn,
    "few_shot": few_shot,
}


def _classifier(
    task: Task, seen: Seen, scores: Callable[[Tensor], Tensor], facts: dict[str, Any], *, calibrated: bool
) -> Score:
    def score(pictures: Pictures) -> Measured:
        judged = _judge(task, seen, pictures, scores)
        return Measured(
            classification(judged, calibrated=calibrated),
            {"top1": bootstrap_interval(judged.right, seed=task.seed)},
            {**facts, "pictures": len(judged.labels)},
        )

    return score


def _judge(task: Task, seen: Seen, pictures: Pictures, scores: Callable[[Tensor], Tensor]) -> Judged:
    assert task.classes is not None
    rows, labels = _labelled(task, pictures)
    return judge(scores, seen.look(pictures)[rows], labels, len(task.classes.names))


def _learn_from(task: Task, seen: Seen) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Features [N, E] and classes [N] of the training pictures, on the device, and what to say of them."""
    assert task.train is not None and task.classes is not None
    pictures = seen.pictures[View(task.train)]
    rows, labels = _labelled(task, pictures)
    known = set(task.train.index.class_names)
    unknown = [label for label in task.data.index.class_names if label not in known]
    facts = {"classes": len(task.classes.names), "training_pictures": len(rows)}
    if unknown:
        facts["classes_not_in_train"] = len(unknown)
    return seen.look(pictures)[rows], labels.to(seen.device), facts


def _labelled(task: Task, pictures: Pictures) -> tuple[Tensor, Tensor]:
    """Rows of the pictures that have a class, and its number; both int64 [n]."""
    assert task.classes is not None
    places = task.classes.places
    known = [(row, places[label]) for row, label in enumerate(pictures.labels) if label and label in places]
    check_some_known([place for _, place in known], f"task {task.config.name}")
    rows, labels = torch.tensor(known).unbind(1)
    return rows, labels
