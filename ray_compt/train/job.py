"""Everything that a stage's workers need, as one picklable value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_compt.config.schema import TeacherConfig, TrainConfig, WorkersConfig
from ray_compt.data import Index, Order, Preprocess
from ray_compt.distill.settings import DistillPlan
from ray_compt.models.checksums import document_digest
from ray_compt.storage import Place, open_place
from ray_compt.teacher import TeacherSpec
from ray_compt.teacher.feature_cache import CacheSpec
from ray_compt.train.objective import Objective


@dataclass(frozen=True)
class StageTeacher:
    """One of a stage's teachers.

    Attributes:
        spec: what serves its features.
        width: of its embedding.
        share: of the distillation weight; a stage's teachers have 1 together.
        scale: its exp(logit_scale), where its similarities are compared.
        cache: where its features are kept; None: nowhere.
    """

    spec: TeacherSpec
    width: int
    share: float = 1.0
    scale: float = 1.0
    cache: CacheSpec | None = None


@dataclass(frozen=True)
class StageJob:
    """One stage's work.

    Attributes:
        name: of the stage, for messages.
        folder: the stage's folder, an absolute path or a URL, readable and writable from every worker.
        initial: safetensors file, likewise, of the initial weights (open_clip names); None: random from `seed`.
        carried: safetensors file, likewise, of the moments that AdamW begins with (`carried.py`); None: zeros.
        model: open_clip's configuration.
        steps: optimizer steps of the whole stage.
        distill: the distillation loss and its weight over time.
        objective: what is minimised.
        teachers: who teaches; none where nothing is distilled.
        max_bad_share: share of unreadable samples above which the stage stops.
    """

    name: str
    folder: str
    seed: int
    initial: str | None
    model: dict[str, Any]
    train: TrainConfig
    workers: WorkersConfig
    steps: int
    index: Index
    order: Order
    preprocess: Preprocess
    reader_cpus: float
    max_bad_share: float
    distill: DistillPlan
    teacher_config: TeacherConfig
    objective: Objective
    teachers: tuple[StageTeacher, ...] = ()
    carried: str | None = None
    verbose: bool = False

    @property
    def path(self) -> Place:
        return open_place(self.folder)

    @property
    def checkpoints(self) -> Place:
        """Ray Train's folder, in which the checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def map_widths(self) -> tuple[int | None, ...]:
        """Width that each teacher's learnt maps lead to; None where features are compared as they are.

        Similarities are compared between models, never features, so the relational loss needs no map.
        """
        own = self.model["embed_dim"]
        mapped = self.distill.kind != "relational"
        return tuple(teacher.width if mapped and teacher.width != own else None for teacher in self.teachers)

    @property
    def digest(self) -> str:
        """Names what a checkpoint must agree with to be continued: the model and the order of samples."""
        identity = {
            "model": self.model,
            "maps": [[place, width] for place, width in enumerate(self.map_widths) if width is not None],
            "seed": self.seed,
            "index": self.index.digest,
            "order": [self.order.global_batch, self.order.lanes, self.order.window_batches],
            "captions": self.preprocess.captions_per_image,
            **self.objective.identity,
        }
        return document_digest(identity)
