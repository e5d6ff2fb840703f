"""Running a suite on the models of `compt eval`, in this process or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ray_compt.errors import placed

if TYPE_CHECKING:
    from torch import nn

    from ray_compt.cli.eval import Subject
    from ray_compt.data import Preprocess
    from ray_compt.evaluate import Suite
    from ray_compt.evaluate.embed import Embedding
    from ray_compt.evaluate.run import Watch


def evaluate_subjects(
    subjects: Sequence[Subject],
    suite: Suite,
    image_size: int | None,
    batch: int,
    device: str,
    *,
    on_cluster: bool,
    quiet: bool,
) -> list[dict[str, Any]]:
    """Every model's results, as `--json` prints them.

    Args:
        subjects: the models.
        suite: the tasks.
        image_size: picture size, if not the models' own.
        batch: samples embedded at a time.
        device: of this process; on a cluster it computes the metrics only.
        on_cluster: embed on the Ray cluster that this process is connected to.
        quiet: show no progress.
    """
    from rich.console import Console

    from ray_compt.report.counting import counting

    results = []
    for subject in subjects:
        with counting(Console(stderr=True, quiet=quiet), subject.name) as watch, placed(subject.ref):
            results.append(_evaluate(subject, suite, image_size, batch, device, on_cluster, watch))
    return results


def _evaluate(
    subject: Subject,
    suite: Suite,
    image_size: int | None,
    batch: int,
    device: str,
    on_cluster: bool,
    watch: Watch,
) -> dict[str, Any]:
    from ray_compt.evaluate import logit_scale, run_suite, scalars
    from ray_compt.evaluate.result import model_checksum
    from ray_compt.models import make_tokenizer, open_pretrained

    model, config = open_pretrained(subject.ref, image_size)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    scale, tokenizer = logit_scale(model), make_tokenizer(config)
    preprocess = _preprocess(model, config)
    embedding = _embedding(model, preprocess, batch, device, suite.pictures if on_cluster else None)
    results = run_suite(suite, embedding, tokenizer, scale, device=device, watch=watch)
    return {
        "name": subject.name,
        "path": subject.ref,
        "checksum": model_checksum(subject.ref),
        "parameters": parameters,
        "metrics": scalars(results),
        "tasks": [asdict(result) for result in results],
    }


def _preprocess(model: nn.Module, config: dict[str, Any]) -> Preprocess:
    from open_clip import get_model_preprocess_cfg

    from ray_compt.config.schema import DataConfig
    from ray_compt.data import make_preprocess

    own = get_model_preprocess_cfg(model)
    side = config["vision_cfg"].get("image_size", 224)
    data = DataConfig(train="none", image_size=side)
    return make_preprocess(data, config, seed=0, mean=own["mean"], std=own["std"])


def _embedding(
    model: nn.Module, preprocess: Preprocess, batch: int, device: str, pictures: int | None
) -> Embedding:
    """On the cluster for so many pictures; None: in this process."""
    from ray_compt.evaluate import Embedder, Here

    if pictures is not None:
        from ray_compt.evaluate.cluster import OnCluster, waiting_replicas

        return OnCluster(model, preprocess, batch=batch, replicas=waiting_replicas(pictures))
    mean, std = preprocess.mean, preprocess.std
    return Here(Embedder(model.to(device), mean, std, batch=batch, device=device), preprocess)
