"""The chain file's keys: pydantic models, their defaults and the rules between the keys of one section.

To add a setting, add a field with a description here (of parameter space: in `transfer_keys.py`, of feature space:
in `distill_keys.py`), read it where it is used and run `python -m ray_compt.config.reference >
docs/chain_file.md`; the error messages and that page follow from the field. Rules across sections are in
`checks.py`. Nothing here reads files or imports torch or Ray.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ray_compt.config.augment_keys import AugmentConfig
from ray_compt.config.deepspeed_keys import refused_key
from ray_compt.config.section import Section, broken_rule, countable, require_gaps
from ray_compt.config.transfer_keys import TransferConfig

# The `model:` key of a stage: a name, or open_clip's own configuration written in place.
ModelChoice = str | dict[str, Any]

# Names become folders of the run.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
LONGEST_NAME = 100
MOST_EPOCHS = 10**12
# What a seed of torch's generators may be, with room for what is added to it.
LARGEST_SEED = 2**32 - 1
# Some four months. Ray and torch keep time-outs in nanoseconds, where far larger ones wrap around.
LONGEST_WAIT_S = 10_000_000


class DataConfig(Section):
    """Where samples come from and how they are read."""

    train: str | list[str] = Field(
        description="Training shards: path or URL, brace pattern, glob, a list of these, or "
        "`builtin:digits/train`."
    )
    val: str | list[str] | None = Field(
        None, description="Validation shards, written like train; null: no evaluation."
    )
    samples: int | None = Field(
        None, gt=0, description="Training samples, for `compt plan` where the shards cannot be read."
    )
    captions_per_image: int = Field(
        1,
        ge=1,
        le=1000,
        description="Captions drawn for each picture and step; the loss is averaged over them.",
    )
    caption_field: str = Field("captions", description="JSON field that holds a picture's list of captions.")
    class_field: str | None = Field(
        None, description="JSON field that holds a picture's class, for zero-shot; null: no classes."
    )
    class_templates: list[str] = Field(
        ["a photo of a {}."], min_length=1, description="Zero-shot prompts; {} becomes the class name."
    )
    image_size: int = Field(224, gt=0, le=8192, description="Side of the square input, pixels.")
    augment: AugmentConfig = Field(AugmentConfig(), description="Augmentation of the training pictures.")
    resize: Literal["pillow", "torch"] = Field(
        "pillow",
        description="Kernel that resizes training pictures: open_clip's (pillow), or torch's, which takes a quarter "
        "of the time and differs by 1 or 2 of 255.",
    )
    jpeg_draft: bool = Field(
        False,
        description="Decode training JPEGs that are at least twice as large as any crop needs at a half, a quarter "
        "or an eighth of their size: less time, other pixels.",
    )
    augment_epochs: int | None = Field(
        None,
        ge=1,
        description="Epochs after which crops and captions repeat, so that teacher.cache of so many epochs serves "
        "all; the order of samples does not repeat. null: never.",
    )
    lanes: int = Field(
        8,
        ge=1,
        le=65_536,
        description="Parallel lanes of the sample order; every worker count must divide it.",
    )
    window_batches: int = Field(
        8, ge=1, description="Global batches whose share of a lane is read and shuffled together."
    )
    max_bad_share: float = Field(
        0.01, ge=0, le=1, description="Share of unreadable samples above which a stage stops."
    )
    reader_cpus: float = Field(0.25, gt=0, description="Logical CPUs of one reading task.")

    @field_validator("train", "val")
    @classmethod
    def _names_shards(cls, value: str | list[str] | None) -> str | list[str] | None:
        if value is not None and not all([value] if isinstance(value, str) else value or [""]):
            raise broken_rule("names no shards", "write a path, a pattern or a list of them")
        return value

    @field_validator("reader_cpus")
    @classmethod
    def _countable(cls, value: float) -> float:
        return countable(value)

    @field_validator("class_templates")
    @classmethod
    def _has_a_gap(cls, value: list[str]) -> list[str]:
        require_gaps(value)
        return value


class TrainConfig(Section):
    """How one stage is optimised."""

    objective: Literal["clip"] = Field("clip", description="Task loss: contrastive over the global batch.")
    global_batch: int = Field(
        1024, ge=1, description="Samples of one optimizer step over all workers, whatever their number."
    )
    micro_batch: int | Literal["auto"] | None = Field(
        None,
        description="Most samples that run at once on one worker, without an effect on the result; null: the "
        "worker's whole share of global_batch; auto: the most that fits, found by trying.",
    )
    lr: float = Field(1e-3, gt=0, description="Peak learning rate.")
    final_lr: float = Field(0.0, ge=0, description="Learning rate at the end of the schedule.")
    schedule: Literal["cosine", "wsd"] = Field("cosine", description="Cosine, or warmup-stable-decay.")
    decay_share: float = Field(
        0.2, gt=0, le=1, description="Share of the steps that wsd spends decaying; cosine ignores it."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps of linear warm-up from 0 to lr.")
    weight_decay: float = Field(
        0.1, ge=0, description="AdamW's weight decay; gains, biases and the logit scale have none."
    )
    # strict=False: YAML has lists, no tuples.
    betas: tuple[float, float] = Field((0.9, 0.98), strict=False, description="AdamW's [beta1, beta2].")
    eps: float = Field(1e-6, gt=0, description="AdamW's epsilon.")
    grad_clip: float | None = Field(
        None, gt=0, description="Largest global norm of the gradient; null: no clipping."
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Arithmetic of the towers; weights and optimizer stay fp32. fp16 needs GPUs."
    )
    zero_stage: Literal[0, 1, 2, 3] = Field(
        1,
        description="DeepSpeed ZeRO: what is sharded (1 optimizer, 2 and gradients, 3 and weights). One worker in "
        "fp32 shards nothing.",
    )
    activation_checkpointing: bool = Field(
        False, description="Recompute activations in the backward pass: less memory, a third more compute."
    )
    compile: bool = Field(
        False,
        description="Run the towers through torch.compile: faster steps on GPUs, a longer start of every worker. "
        "Not with zero_stage 3.",
    )
    max_bad_steps: int = Field(
        10,
        ge=1,
        description="Steps in a row whose loss or gradient is not finite, and which are skipped, after which "
        "the stage goes back to its last checkpoint, once, and then stops.",
    )
    checkpoint_every: int = Field(500, ge=1, description="Steps between checkpoints.")
    deepspeed: dict[str, Any] = Field({}, description="Further DeepSpeed keys, handed through (see below).")

    @field_validator("micro_batch")
    @classmethod
    def _at_least_one(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and value < 1:
            raise broken_rule(f"{value} samples cannot run", "write 1 or more, auto or null")
        return value

    @field_validator("betas")
    @classmethod
    def _below_one(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in value):
            raise broken_rule(
                f"[{value[0]:g}, {value[1]:g}] are no decay rates", "write two numbers from 0 to below 1"
            )
        return value

    @field_validator("deepspeed")
    @classmethod
    def _passable(cls, value: dict[str, Any]) -> dict[str, Any]:
        refused = refused_key(value)
        if refused is not None:
            raise broken_rule(refused.reason, refused.mend, *refused.key)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        if self.precision == "bf16" and self.zero_stage == 0:
            raise broken_rule(
                "bf16 needs zero_stage 1 or higher: at stage 0 DeepSpeed counts Adam's steps one too high, "
                "so a resumed run would differ",
                "write zero_stage: 1",
                "precision",
            )
        if self.compile and self.zero_stage == 3:
            raise broken_rule(
                "zero_stage 3 fetches weights between a tower's layers, which torch.compile would cut apart",
                "write zero_stage: 2, or compile: false",
                "compile",
            )
        if self.final_lr > self.lr:
            raise broken_rule(
                f"{self.final_lr:g} is above the peak lr {self.lr:g}",
                "write a final_lr below lr, or 0",
                "final_lr",
            )
        return self


class WorkersConfig(Section):
    """The processes that train a stage."""

    min: int = Field(1, ge=1, description="Fewest workers a stage may run with.")
    max: int | None = Field(None, ge=1, description="Most workers; null: the same as min.")
    gpus: float = Field(0, ge=0, description="GPUs of one worker; 0 trains on CPUs.")
    cpus: float = Field(1, gt=0, description="Logical CPUs of one worker.")
    timeout_s: float = Field(
        300,
        gt=0,
        le=LONGEST_WAIT_S,
        description="Seconds without an answer after which a worker counts as hung and is replaced.",
    )
    wait_s: float = Field(
        600,
        gt=0,
        le=LONGEST_WAIT_S,
        description="Seconds to wait for room for min workers before the stage stops.",
    )
    resize_s: float = Field(
        30,
        gt=0,
        le=LONGEST_WAIT_S,
        description="Shortest time, in seconds, between two looks for room for more workers.",
    )
    max_failures: int = Field(
        3,
        ge=0,
        description="Failures of workers between two checkpoints that a stage survives; drained nodes and "
        "changes of the number of workers are none.",
    )

    @field_validator("gpus", "cpus")
    @classmethod
    def _countable(cls, value: float) -> float:
        return countable(value)

    @property
    def most(self) -> int:
        return self.max if self.max is not None else self.min

    @model_validator(mode="after")
    def _ordered(self) -> WorkersConfig:
        if self.most < self.min:
            raise broken_rule(f"{self.max} is below min {self.min}", f"write max: {self.min} or more", "max")
        return self


class TeacherConfig(Section):
    """The frozen predecessor that serves features."""

    placement: Literal["auto", "actor", "inline"] = Field(
        "auto", description="A service that all workers share, a copy inside each worker, or whichever suits."
    )
    gpus: float = Field(0, ge=0, description="GPUs of one replica of the service.")
    cpus: float = Field(1, gt=0, description="Logical CPUs of one replica of the service.")
    replicas: int | Literal["auto"] = Field(
        1, description="Copies of the model; auto: from 1 to max_replicas, as the queue asks."
    )
    max_replicas: int = Field(4, ge=1, description="Most copies where replicas is auto.")
    ahead: int = Field(
        1, ge=1, le=64, description="Batches whose features a worker asks for before their turn."
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="Arithmetic of the teacher; a service prints the error of its features. fp16 needs GPUs.",
    )
    rows: int | None = Field(
        None,
        ge=1,
        description="Samples that run at once; null: what divides a worker's share of the batch, at most 256.",
    )
    compile: bool = Field(False, description="Run the teacher through torch.compile.")
    timeout_s: float = Field(
        300, gt=0, le=LONGEST_WAIT_S, description="Seconds to wait for features before the stage fails."
    )
    ttl_s: float = Field(
        60,
        gt=0,
        le=LONGEST_WAIT_S,
        description="Seconds that a service outlives a driver that died; one that ends gives it back at once.",
    )
    cache: str | None = Field(
        None,
        description="Folder or URL that keeps the features, for later runs and other stages; null: none are kept.",
    )
    cache_limit_gb: float | None = Field(
        None, gt=0, description="Most that a stage may add to cache, 10^9 bytes; null: no limit."
    )

    @field_validator("cache")
    @classmethod
    def _names_a_folder(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise broken_rule("names no folder", "write a path or URL, or null")
        return value

    @field_validator("gpus", "cpus")
    @classmethod
    def _countable(cls, value: float) -> float:
        return countable(value)

    @property
    def fewest_replicas(self) -> int:
        return 1 if self.replicas == "auto" else self.replicas

    @field_validator("replicas")
    @classmethod
    def _at_least_one(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise broken_rule(f"{value} replicas cannot serve", "write 1 or more, or auto")
        return value

    @model_validator(mode="after")
    def _half_needs_a_gpu(self) -> TeacherConfig:
        if self.precision == "fp16" and not self.gpus and self.placement == "actor":
            raise broken_rule(
                "fp16 needs a GPU, and the teacher has none", "write gpus: 1, or precision: bf16", "precision"
            )
        return self


class IndividualConfig(Section):
    """The baseline of `compt train --individual`: each model of the family alone from scratch."""

    epochs: float | None = Field(
        None, gt=0, le=10**12, description="Epochs of each; null: those of the first stage."
    )
    warmup_steps: int | None = Field(None, ge=0, description="Warm-up; null: the first stage's.")


class EvaluateConfig(Section):
    """Evaluation after every stage."""

    suite: str | None = Field(
        None,
        description="What is measured besides zero-shot accuracy and retrieval on data.val: `core` adds a linear probe "
        "and nearest neighbours there, the path of a suite file its tasks (docs/evaluation.md); null: nothing.",
    )
    batch: int = Field(
        256, ge=1, description="Samples embedded at a time, halved by itself where memory is short."
    )
    timeout_s: float = Field(
        3600, gt=0, le=LONGEST_WAIT_S, description="Seconds after which an evaluation counts as hung."
    )
    after_growth: bool = Field(
        True, description="Also evaluate a stage's grown weights before its first step."
    )

    @field_validator("suite")
    @classmethod
    def _names_a_suite(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise broken_rule("names no suite", "write core, the path of a suite file, or null")
        return value


class StageConfig(Section):
    """One stage, with the chain's train, workers, teacher and transfer sections already merged in."""

    name: str = Field(
        pattern=NAME_PATTERN,
        max_length=LONGEST_NAME,
        description="Name of the stage's folder; by default the model's.",
    )
    model: ModelChoice = Field(
        description="A size (ViT-T-16, ViT-S-16, ...), any name that open_clip knows, or open_clip's own "
        "configuration in place (embed_dim, vision_cfg, text_cfg)."
    )
    epochs: float = Field(gt=0, le=MOST_EPOCHS, description="Passes over the training data.")
    train: TrainConfig
    workers: WorkersConfig
    teacher: TeacherConfig
    transfer: TransferConfig


class Chain(Section):
    """A whole chain file, resolved: every default filled in, every stage complete."""

    name: str = Field(pattern=NAME_PATTERN, max_length=LONGEST_NAME, description="Name of the run folder.")
    seed: int = Field(
        0, ge=0, le=LARGEST_SEED, description="Source of all randomness: weights, sample order, augmentation."
    )
    data: DataConfig
    individual: IndividualConfig = IndividualConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    stages: list[StageConfig] = Field(min_length=1, description="The models in ascending size.")
