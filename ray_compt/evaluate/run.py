"""Everything that is measured on a model after its stage, as one flat dictionary.

To report a further metric, compute it from `Embedded` here and give it a key; the ledger, `metrics.jsonl`,
TensorBoard and `compt eval` show whatever keys there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from open_clip import build_zero_shot_classifier
from torch import Tensor, nn

from ray_compt.data import Index, Preprocess
from ray_compt.errors import UserError
from ray_compt.evaluate.embed import Embedded, Tokenizer, embed_split
from ray_compt.evaluate.metrics import image_to_text, text_to_image, top1
from ray_compt.models import make_tokenizer


def evaluate_model(
    model: nn.Module,
    config: dict[str, Any],
    index: Index,
    preprocess: Preprocess,
    *,
    templates: Sequence[str],
    batch: int,
    device: str | torch.device = "cpu",
) -> dict[str, float]:
    """Zero-shot classification and image-text retrieval of a model on a split.

    Args:
        model: an open_clip CLIP that lies on `device`; its training mode is left as found.
        config: open_clip's dictionary of the model, for its tokenizer.
        index: the split, usually the validation shards.
        preprocess: the pictures' side, of the model's image size.
        templates: zero-shot prompts, `{}` becomes the class name; a class is the mean over them (CLIP,
            arXiv 2103.00020, section 3.1.4).
        batch: pictures, or captions, embedded at a time.
        device: where the model lies.

    Returns:
        Fractions in [0, 1]: `image_to_text_r1`, `_r5`, `_r10`, `text_to_image_r1`, `_r5`, `_r10` with each
        picture's first caption, and `zero_shot_top1` where samples have classes; and `samples`, the number
        of pictures that could be read. Captions of equal text count as one (see `metrics`).

    Raises:
        UserError: no readable sample, NaN features, or a template without `{}`.
    """
    tokenizer = make_tokenizer(config)
    with _evaluation_mode(model):
        split = embed_split(model, index, preprocess, tokenizer, batch=batch, device=device)
        results = _retrieval(split)
        if any(label in index.class_names for label in split.labels):
            classes = zero_shot_classifier(
                model, tokenizer, index.class_names, templates, batch=batch, device=device
            )
            results["zero_shot_top1"] = _zero_shot(split, index.class_names, classes)
    return {**results, "samples": float(len(split.labels))}


@torch.inference_mode()
def zero_shot_classifier(
    model: nn.Module,
    tokenizer: Tokenizer,
    class_names: Sequence[str],
    templates: Sequence[str],
    *,
    batch: int,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Unit features [C, E] float32 of classes: the normalised mean of the normalised prompts' features."""
    for template in templates:
        if "{}" not in template:
            raise UserError(
                f"the class template {template!r} has no {{}} for the class name",
                where="data.class_templates",
                mend='write it like "a photo of a {}."',
            )
    # As functions, because str.format would stumble over other braces in a prompt.
    prompts = [lambda name, template=template: template.replace("{}", name) for template in templates]
    at_once = max(1, batch // len(prompts))
    weights = build_zero_shot_classifier(model, tokenizer, class_names, prompts, at_once, device)
    return weights.T.float()


def _retrieval(split: Embedded) -> dict[str, float]:
    ways = {"image_to_text": image_to_text, "text_to_image": text_to_image}
    return {
        f"{name}_r{k}": share
        for name, recall in ways.items()
        for k, share in recall(split.images, split.texts, split.pairs).items()
    }


def _zero_shot(split: Embedded, class_names: Sequence[str], classes: Tensor) -> float:
    place = {name: number for number, name in enumerate(class_names)}
    known = [(row, place[label]) for row, label in enumerate(split.labels) if label in place]
    rows, labels = torch.tensor(known, device=split.images.device).unbind(1)
    return top1(split.images[rows], classes, labels)


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
