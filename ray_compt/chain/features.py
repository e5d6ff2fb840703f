"""A stage's feature cache, from the driver: what it belongs to, how large it gets, and whether it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from ray_compt.chain.folder import run_place
from ray_compt.chain.inputs import Inputs
from ray_compt.chain.ledger import StageEntry
from ray_compt.chain.prepare import StagePlan
from ray_compt.config.schema import Chain
from ray_compt.data import Order, Preprocess
from ray_compt.errors import UserError
from ray_compt.models.checksums import document_digest
from ray_compt.storage import open_place
from ray_compt.teacher import TeacherSpec
from ray_compt.teacher.feature_cache import CacheSpec, FeatureCache
from ray_compt.teacher.feature_need import drawn_samples, estimated_bytes, is_complete
from ray_compt.teacher.feature_window import FAULTS, reason

FORMAT = 1
GB = 10**9
# Another release of these may crop, decode or tokenise otherwise.
LIBRARIES = ("open_clip_torch", "pillow", "torchvision")


@dataclass(frozen=True)
class CacheState:
    """How a stage finds its feature cache.

    Attributes:
        complete: every feature that the stage needs is there.
        line: the same for people.
    """

    complete: bool
    line: str


def check_caches(
    chain: Chain,
    plans: Sequence[StagePlan],
    entries: Sequence[StageEntry],
    inputs: Inputs,
    step_limit: int | None,
) -> None:
    """Refuse caches that cannot be: before the first stage, not at the one that would fill them.

    Args:
        entries: the stages' entries in the ledger; those that are done are left alone.

    Raises:
        UserError: a stage's features would take more than `teacher.cache_limit_gb`, or `teacher.cache` is a file.
    """
    for plan, entry in zip(plans, entries):
        config = plan.config.teacher
        if entry.state == "done" or config.cache is None or not plan.teachers:
            continue
        where = f"stage {plan.config.name}"
        if _is_file(config.cache):
            raise UserError(
                f"teacher.cache: {config.cache} is a file",
                where=where,
                mend="write a folder, or a URL of one",
            )
        # Several teachers take as much as one with all their widths.
        width = sum(teacher.model["embed_dim"] for teacher in plan.teachers)
        spec = _spec(config.cache, {}, width, chain)
        order = inputs.order(plan.config.train.global_batch)
        last_step = plan.distill.last_step(plan.steps(inputs.train.samples, step_limit))
        size = estimated_bytes(order, last_step, spec)
        if config.cache_limit_gb is not None and size > config.cache_limit_gb * GB:
            raise UserError(
                f"its features would take {_size(size)} ({_formula(order, last_step, spec)}), more than "
                f"teacher.cache_limit_gb {config.cache_limit_gb:g} allows",
                where=where,
                mend="raise teacher.cache_limit_gb, set data.augment_epochs to a few, or leave teacher.cache out",
            )


def cache_spec(
    chain: Chain,
    path: str,
    teacher: TeacherSpec,
    model: dict[str, Any],
    preprocess: Preprocess,
    data: str,
) -> CacheSpec:
    """The cache of a teacher's features in a chain.

    Args:
        path: `teacher.cache`.
        model: the teacher's open_clip configuration.
        preprocess: how the stage's samples become tensors.
        data: digest of the training data's index.
    """
    text = preprocess.tokenizer["text_cfg"]
    identity = {
        "format": FORMAT,
        "teacher": {
            "weights": teacher.weights,
            "model": document_digest(model),
            "precision": teacher.precision,
            "mean": list(teacher.mean),
            "std": list(teacher.std),
        },
        "data": data,
        "seed": chain.seed,
        "image_size": preprocess.image_size,
        "augment": preprocess.augment.model_dump(mode="json"),
        "resize": preprocess.resize,
        "jpeg_draft": preprocess.jpeg_draft,
        "caption_field": chain.data.caption_field,
        "captions_per_image": preprocess.captions_per_image,
        "context_length": preprocess.context_length,
        "tokenizer": text.get("tokenizer_kwargs") or {},
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return _spec(path, identity, model["embed_dim"], chain)


def look_up(spec: CacheSpec, order: Order, last_step: int) -> CacheState:
    """What a cache holds of the features of a stage's steps [0, last_step).

    A cache that cannot be read or written is no error: the teacher computes what is not there.

    Raises:
        UserError: its folder holds another identity than its name says.
    """
    cache = FeatureCache(spec)
    faults = []
    try:
        cache.claim()
    except FAULTS as error:
        faults.append(error)
    try:
        if is_complete(cache, order, last_step):
            return CacheState(True, f"features from the cache {cache}")
    except FAULTS as error:
        faults.append(error)
    if faults:
        return CacheState(False, f"the feature cache {cache} cannot be used ({reason(faults[0])})")
    size = _size(estimated_bytes(order, last_step, spec))
    return CacheState(
        False, f"features are kept in {cache}, at most {size} ({_formula(order, last_step, spec)})"
    )


def _is_file(path: str) -> bool:
    place = open_place(path)
    try:
        return place.is_file()
    except FAULTS:
        return False


def _spec(path: str, identity: dict[str, Any], width: int, chain: Chain) -> CacheSpec:
    return CacheSpec(
        str(run_place(path)), identity, width, chain.data.captions_per_image, chain.data.augment_epochs
    )


def _formula(order: Order, last_step: int, spec: CacheSpec) -> str:
    samples = drawn_samples(order, last_step, spec.augment_epochs)
    captions = f"(1 + {spec.captions})"
    return f"{samples} samples of all epochs x {captions} x {spec.width} x 2 bytes"


def _size(count: int) -> str:
    for unit, one in (("GB", GB), ("MB", 10**6)):
        if count >= one:
            return f"{count / one:.1f} {unit}"
    return f"{count / 1000:.1f} kB"
