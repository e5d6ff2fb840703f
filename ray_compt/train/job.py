"""Everything that a stage's workers need, as one picklable value."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ray_compt.config.schema import TeacherConfig, TrainConfig, WorkersConfig
from ray_compt.data import Index, Order, Preprocess
from ray_compt.distill.feature_cache import CacheSpec
from ray_compt.distill.settings import DistillPlan
from ray_compt.distill.teacher import TeacherSpec
from ray_compt.storage import Place, open_place


@dataclass(frozen=True)
class StageJob:
    """One stage's work.

    Attributes:
        name: of the stage, for messages.
        folder: the stage's folder, an absolute path or a URL, readable and writable from every worker.
        initial: safetensors file, likewise, of the initial weights (open_clip names); None: random from `seed`.
        model: open_clip's configuration.
        steps: optimizer steps of the whole stage.
        distill: weight of the distillation loss over time.
        teacher: the predecessor; None where nothing is distilled.
        teacher_width: embedding width of the teacher.
        cache: where the teacher's features are kept; None: nowhere.
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
    teacher: TeacherSpec | None = None
    teacher_width: int | None = None
    cache: CacheSpec | None = None
    verbose: bool = False

    @property
    def path(self) -> Place:
        return open_place(self.folder)

    @property
    def checkpoints(self) -> Place:
        """Ray Train's folder, in which the checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def digest(self) -> str:
        """Names what a checkpoint must agree with to be continued: the model and the order of samples."""
        identity = {
            "model": self.model,
            "teacher_width": self.teacher_width,
            "seed": self.seed,
            "index": self.index.digest,
            "order": [self.order.global_batch, self.order.lanes, self.order.window_batches],
            "captions": self.preprocess.captions_per_image,
        }
        return hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=16).hexdigest()
