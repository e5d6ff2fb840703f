"""A suite on one model: everything that it looks at is embedded first, pictures and then texts; then tasks measure.

Two passes over the data, however many tasks there are: what several of them share is embedded once, and the replicas
of a cluster start twice a model and not twice a task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ray_compt.config.schema import DataConfig
from ray_compt.data import Index, Preprocess
from ray_compt.errors import placed
from ray_compt.evaluate.embed import Embedding, Here, Progress, ignore
from ray_compt.evaluate.embedder import Embedder
from ray_compt.evaluate.measure import Seen, measure, texts_of
from ray_compt.evaluate.result import TaskResult, scalars, task_result
from ray_compt.evaluate.suites import Suite, open_suite
from ray_compt.evaluate.texts import Tokenizer, tokenise
from ray_compt.models import make_tokenizer

# Called with what comes next and how many of it; returns what is called as they are done.
Watch = Callable[[str, int], Progress]


def run_suite(
    suite: Suite,
    embedding: Embedding,
    tokenizer: Tokenizer,
    scale: float | None,
    *,
    device: str | torch.device = "cpu",
    watch: Watch = lambda _what, _count: ignore,
) -> list[TaskResult]:
    """Measure every task of a suite on one model.

    Args:
        suite: the tasks.
        embedding: the model.
        tokenizer: the model's; captions -> int64 [n, L].
        scale: of its similarities, exp(logit_scale).
        device: where metrics are computed and probes learn.
        watch: follows the progress.

    Raises:
        UserError: data that cannot be read, features that are not finite, texts that the tokenizer cannot tell apart.
    """
    if not suite.tasks:
        return []
    pictures = embedding.pictures(suite.views, watch("pictures", suite.pictures))
    tokens: dict[str, Tensor] = {}
    for task in suite.tasks:
        wanted = texts_of(task, pictures)
        if wanted:
            with placed(f"task {task.config.name}"):
                tokens |= dict(zip(wanted, tokenise(tokenizer, wanted)))
    features: dict[str, Tensor] = {}
    if tokens:
        embedded = embedding.texts(torch.stack(list(tokens.values())), watch("texts", len(tokens)))
        features = dict(zip(tokens, embedded))
    seen = Seen(pictures, features, scale, device)
    sizes = {view.split: (len(one.labels), one.unreadable) for view, one in pictures.items()}
    done = watch("tasks", len(suite.tasks))
    results = []
    for task in suite.tasks:
        results.append(task_result(task, *measure(task, seen), sizes))
        done(1)
    return results


def evaluate_model(
    model: nn.Module,
    config: dict[str, Any],
    index: Index,
    preprocess: Preprocess,
    *,
    templates: list[str] | tuple[str, ...],
    batch: int,
    device: str | torch.device = "cpu",
) -> dict[str, float]:
    """Zero-shot classification and image-text retrieval of a model on a split.

    Args:
        model: an open_clip CLIP that lies on `device`; its training mode is left as found.
        config: open_clip's dictionary of the model, for its tokenizer.
        index: the split, usually the validation shards.
        preprocess: the pictures' side, of the model's image size.
        templates: zero-shot prompts, `{}` becomes the class name.
        batch: pictures, or captions, embedded at a time.
        device: where the model lies.

    Returns:
        Fractions in [0, 1]: `image_to_text_r1`, `_r5`, `_r10`, `text_to_image_r1`, `_r5`, `_r10` with each
        picture's first caption, and `zero_shot_top1`, `_top5`, `_mean_per_class`, `_ece` where samples have classes;
        and `samples`, the number of pictures that could be read. Captions of equal text count as one (see `metrics`).

    Raises:
        UserError: no readable sample, NaN features, or a template without `{}`.
    """
    data = DataConfig(train="none", val="the split").model_copy(update={"class_templates": list(templates)})
    suite = open_suite(None, data, False, lambda _spec, _data: index)
    with _evaluation_mode(model):
        embedder = Embedder(model, preprocess.mean, preprocess.std, batch=batch, device=device)
        embedding = Here(embedder, preprocess)
        results = run_suite(suite, embedding, make_tokenizer(config), logit_scale(model), device=device)
    return scalars(results)


def logit_scale(model: nn.Module) -> float | None:
    """exp(logit_scale) of a model; None where it has none."""
    scale = getattr(model, "logit_scale", None)
    return float(scale.detach().exp()) if scale is not None else None


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
