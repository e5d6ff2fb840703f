"""A classifier on disk: what fine-tuning begins with, and what it leaves behind.

STAGE/
  initial/classifier.safetensors  visual.*, head.weight [C, E], head.bias [C]; until the stage is done
  initial/rest.safetensors        the model's other tensors, which are not trained
  model.safetensors               the fine-tuned model, with open_clip_config.json, as every stage has it
  head.safetensors                head.weight and head.bias, on embeddings of unit length
  classes.json                    the names of the C classes
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ray_compt.chain.finish import in_task
from ray_compt.data import Index, Preprocess
from ray_compt.models import build_model, make_tokenizer, save_model
from ray_compt.models.checksums import write_checksums
from ray_compt.models.store import CONFIG_FILE, WEIGHTS_FILE, read_tensors
from ray_compt.storage import Place, open_place
from ray_compt.train.checkpoint import read_weights
from ray_compt.train.classification import HEAD_PREFIX, TOWER_PREFIX
from ray_compt.train.job import StageJob
from ray_compt.train.stage import Trained

HEAD_FILE, CLASSES_FILE = "head.safetensors", "classes.json"
TEXTS_AT_ONCE = 256


def initial_file(folder: Place) -> Place:
    """What the workers load."""
    return folder / "initial" / "classifier.safetensors"


def write_initial(
    folder: Place, model: Any, config: dict[str, Any], classes: Sequence[str], templates: Sequence[str]
) -> None:
    """Split a model into what is trained, with its head, and the rest; once.

    The head begins as the zero-shot classifier: the classes' unit text features times the model's scale, so that
    its logits are the model's similarities (WiSE-FT, arXiv 2109.01903). Without templates it begins at zero.

    Raises:
        UserError: the model's tokenizer lives on the Hugging Face hub, or a template has no {}.
    """
    if initial_file(folder).is_file():
        return
    head = torch.zeros(len(classes), config["embed_dim"])
    if templates:
        head = _text_features(model, config, classes, templates) * model.logit_scale.exp().item()
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    trained = {name: tensor for name, tensor in state.items() if name.startswith(TOWER_PREFIX)}
    rest = {name: tensor for name, tensor in state.items() if name not in trained}
    trained |= {f"{HEAD_PREFIX}weight": head.contiguous(), f"{HEAD_PREFIX}bias": torch.zeros(len(classes))}
    _rest_file(folder).write(lambda path: save_file(rest, path))
    # Last: where it stands, both do.
    initial_file(folder).write(lambda path: save_file(trained, path))


def _text_features(
    model: Any, config: dict[str, Any], classes: Sequence[str], templates: Sequence[str]
) -> Tensor:
    from ray_compt.evaluate import Embedder
    from ray_compt.evaluate.texts import check_templates, class_features, prompts_of, tokenise

    prompts = prompts_of(classes, check_templates(templates, "--template"))
    tokens = tokenise(make_tokenizer(config), prompts)
    # The normalisation is that of pictures, of which there are none here.
    embedder = Embedder(model, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), batch=TEXTS_AT_ONCE)
    return class_features(embedder.texts(tokens), len(classes))


def export(job: StageJob, trained: Trained, classes: Sequence[str], source: str) -> None:
    """Write the fine-tuned model such that plain open_clip loads it, its head and its classes."""
    weights = read_weights(trained.checkpoint)
    tower, head = _split(weights)
    save_model(
        job.path,
        read_tensors(_rest_file(job.path)) | tower,
        job.model,
        mean=job.preprocess.mean,
        std=job.preprocess.std,
        metadata={"finetuned_from": source, "steps": str(trained.progress.step)},
    )
    (job.path / HEAD_FILE).write(lambda path: save_file(head, path))
    (job.path / CLASSES_FILE).write_text(json.dumps(list(classes), indent=1, ensure_ascii=False) + "\n")
    write_checksums(job.path, (WEIGHTS_FILE, CONFIG_FILE, HEAD_FILE, CLASSES_FILE))


@dataclass(frozen=True)
class HeadEvaluation:
    """A classifier and the split to measure it on; `files` hold its tensors together."""

    files: tuple[str, ...]
    config: dict[str, Any]
    classes: tuple[str, ...]
    index: Index
    preprocess: Preprocess
    batch: int
    timeout_s: float


def evaluate_head(job: HeadEvaluation, *, gpus: float) -> float:
    """Top-1 of a classifier, measured in a Ray task.

    Raises:
        TrainingError: it took longer than `evaluate.timeout_s`.
    """
    return in_task(_evaluate, job, gpus=gpus, timeout_s=job.timeout_s, where=job.files[0])


def _evaluate(job: HeadEvaluation) -> float:
    from ray_compt.evaluate.head import head_top1

    device = "cuda" if torch.cuda.is_available() else "cpu"
    weights: dict[str, Tensor] = {}
    for file in job.files:
        weights |= read_tensors(file)
    tower, head = _split(weights)
    visual: Any = build_model(job.config).visual
    visual.load_state_dict({name.removeprefix(TOWER_PREFIX): tensor for name, tensor in tower.items()})
    return head_top1(
        visual.to(device).eval(),
        head[f"{HEAD_PREFIX}weight"],
        head[f"{HEAD_PREFIX}bias"],
        job.classes,
        job.index,
        job.preprocess,
        batch=job.batch,
        device=device,
    )


def _split(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The image tower's tensors and the head's."""
    tower = {name: tensor for name, tensor in weights.items() if name.startswith(TOWER_PREFIX)}
    head = {name: tensor for name, tensor in weights.items() if name.startswith(HEAD_PREFIX)}
    return tower, head


def _rest_file(folder: Place) -> Place:
    return open_place(folder) / "initial" / "rest.safetensors"
