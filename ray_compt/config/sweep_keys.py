"""The sweep file's keys: the base chain, what is varied, what counts, how it is searched.

To add a setting, add a field with a description here, read it where it acts and run
`python -m ray_compt.config.sweep_reference > docs/sweep_file.md`. Rules that need the base chain are in
`ray_compt/sweep/check.py`. Nothing here reads files.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator, field_validator, model_validator

from ray_compt.config.distributions import Distribution, Fixed, parse_distribution, plain
from ray_compt.config.schema import LARGEST_SEED, LONGEST_NAME, MOST_EPOCHS, NAME_PATTERN
from ray_compt.config.section import Section, broken_rule

Varied = Annotated[Distribution, PlainValidator(parse_distribution), PlainSerializer(plain)]
Names = list[str]
# A chain is a list of stages, or a mapping of stages to their epochs. Not written in the class, where `list` is a
# key.
Listed = list[list[str] | dict[str, float]]
Cost = Literal["macs", "seconds"]
LONGEST_CHAIN = 100
# Keys of `train` that say how a model fits and runs, not how it learns: they stay a stage's own where it becomes a
# chain's first.
FITTING = (
    "micro_batch",
    "precision",
    "zero_stage",
    "activation_checkpointing",
    "compile",
    "max_bad_steps",
    "checkpoint_every",
    "deepspeed",
)


class ChainsConfig(Section):
    """The composition: which of the base chain's stages make a chain, always in ascending size."""

    subsets_of: Names | None = Field(
        None,
        min_length=1,
        description="Stages to choose from, by their names or by a part of their model's name between dashes that no "
        "other has (T is ViT-T-16); null: all of the base chain.",
    )
    end: str | None = Field(None, description="Last model of every chain; null: the largest to choose from.")
    # strict=False: YAML has lists, no tuples.
    length: tuple[int, int] | None = Field(
        None,
        strict=False,
        description="Fewest and most models of a chain, 1 being the last model alone; null: any number.",
    )
    ratio: tuple[float, float] | None = Field(
        None,
        strict=False,
        description="Least and largest ratio of forward MACs between neighbours; null: any.",
    )
    list: Listed | None = Field(
        None,
        min_length=1,
        description="The chains themselves, instead of the four keys above: lists of stages, or mappings of stages to "
        "their epochs, such as {S: 160, M: 20}.",
    )
    ungrowable: Literal["leave_out", "feature_space", "refuse"] = Field(
        "leave_out",
        description="Chains with a pair that growth refuses: left out, trained with growth: random there, or an "
        "error.",
    )

    @field_validator("length")
    @classmethod
    def _a_length(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not 1 <= value[0] <= value[1] <= LONGEST_CHAIN:
            mend = f"write the fewest and the most, from 1 to {LONGEST_CHAIN}, for example [2, 4]"
            raise broken_rule(f"[{value[0]}, {value[1]}] are no numbers of models", mend)
        return value

    @field_validator("ratio")
    @classmethod
    def _a_ratio(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 0 < value[0] <= value[1]:
            mend = "write the least and the largest, for example [1.5, 5]"
            raise broken_rule(f"[{value[0]:g}, {value[1]:g}] are no ratios", mend)
        return value

    @field_validator("list")
    @classmethod
    def _have_epochs(cls, value: Listed | None) -> Listed | None:
        for number, chain in enumerate(value or []):
            for stage, epochs in chain.items() if isinstance(chain, dict) else ():
                if not 0 < epochs <= MOST_EPOCHS:
                    mend = f"write a number above 0 and at most {MOST_EPOCHS:,}"
                    raise broken_rule(f"{epochs:g} is no number of epochs", mend, number, stage)
        return value

    @model_validator(mode="after")
    def _one_way(self) -> ChainsConfig:
        for key in ("subsets_of", "end", "length", "ratio"):
            if self.list is not None and getattr(self, key) is not None:
                raise broken_rule("list names the chains already", "remove it, or list", key)
        return self


class ObjectiveConfig(Section):
    """What counts: a metric, a metric and a cost, or the least cost at which a metric is reached."""

    metric: str = Field(
        min_length=1, description="A metric of the chain's last stage, as `compt train` prints it."
    )
    mode: Literal["max", "min"] = Field("max", description="Whether more or less of it is better.")
    cost: Cost | None = Field(
        None,
        description="A second objective: the cost of the whole chain, teachers included; results are a Pareto front.",
    )
    at_least: float | None = Field(
        None, gt=0, le=1, description="Only chains that reach this value of metric count, a fraction."
    )
    minimise: Cost | None = Field(None, description="What is least among those; goes with at_least.")

    @model_validator(mode="after")
    def _one_question(self) -> ObjectiveConfig:
        if (self.at_least is None) != (self.minimise is None):
            given, lacking = (
                ("minimise", "at_least: 0.6") if self.at_least is None else ("at_least", "minimise: macs")
            )
            raise broken_rule("asks only half of the question", f"add {lacking}", given)
        if self.at_least is not None and self.cost is not None:
            raise broken_rule(
                "at_least and minimise weigh the cost already", "remove it, or these two", "cost"
            )
        if self.at_least is not None and self.mode == "min":
            raise broken_rule(
                "at_least asks for more of the metric, and mode: min for less", "write mode: max", "mode"
            )
        return self


class SearchConfig(Section):
    """How candidates are chosen."""

    algorithm: Literal["grid", "random", "tpe", "nsga2"] = Field(
        "grid",
        description="All combinations, random ones, or Optuna's TPE (one objective or two) and NSGA-II (two).",
    )
    trials: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Candidates to try, each with every seed; null: all of a grid. Fewer than a grid has are drawn.",
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Source of the search's own randomness.")

    @model_validator(mode="after")
    def _knows_its_end(self) -> SearchConfig:
        if self.algorithm != "grid" and self.trials is None:
            raise broken_rule(f"{self.algorithm} has no end of its own", "write trials: 20", "trials")
        return self


class PruneConfig(Section):
    """Trials that end early because others are better."""

    scheduler: Literal["none", "asha", "hyperband"] = Field(
        "none", description="Who decides; its rungs lie at equal cost, in MACs."
    )
    reduction: int = Field(3, ge=2, le=100, description="One of so many trials goes on beyond a rung.")
    within_stage: bool = Field(False, description="Also within a stage, instead of at its end alone.")

    @model_validator(mode="after")
    def _somebody_prunes(self) -> PruneConfig:
        if self.scheduler == "none" and self.within_stage:
            raise broken_rule("nobody prunes", "write scheduler: asha, or remove it", "within_stage")
        return self


class Sweep(Section):
    """A sweep file."""

    name: str = Field(
        pattern=NAME_PATTERN, max_length=LONGEST_NAME, description="Name of the sweep's folder."
    )
    chain: str = Field(
        min_length=1,
        description="Base chain: the path of a chain file from this file's folder, or a shipped name.",
    )
    space: dict[str, Varied] = Field(
        {}, description="What is varied: keys of the chain file, and a distribution or a value for each."
    )
    chains: ChainsConfig | None = Field(
        None,
        description="The composition: which of the base chain's stages make a chain; null: all, as it is.",
    )
    objective: ObjectiveConfig
    search: SearchConfig = SearchConfig()
    seeds: list[int] = Field(
        [0], min_length=1, description="Each candidate is trained with each of them; results are averaged."
    )
    prune: PruneConfig = PruneConfig()
    max_concurrent: int | Literal["auto"] = Field(
        "auto", description="Most trials that run at once; auto: as many as the cluster has room for."
    )
    retry_failed: int = Field(0, ge=0, le=100, description="Times that a trial that failed is tried again.")

    @field_validator("seeds")
    @classmethod
    def _are_seeds(cls, value: list[int]) -> list[int]:
        for number, seed in enumerate(value):
            if not 0 <= seed <= LARGEST_SEED:
                raise broken_rule(f"{seed} is no seed", f"write 0 to {LARGEST_SEED}", number)
            if seed in value[:number]:
                raise broken_rule(f"{seed} is named twice", "keep one", number)
        return value

    @field_validator("max_concurrent")
    @classmethod
    def _at_least_one(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise broken_rule(f"{value} trials at once train nothing", "write 1 or more, or auto")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Sweep:
        if self.chains is None and all(isinstance(varied, Fixed) for varied in self.space.values()):
            raise broken_rule(
                "nothing is varied, and there are no chains to choose from",
                "add a key such as train.lr: {loguniform: [1.0e-4, 3.0e-3]}, or chains: {length: [2, 4]}",
                "space",
            )
        if self.search.algorithm == "nsga2" and self.objective.cost is None:
            raise broken_rule(
                "NSGA-II looks for a front of two objectives, and there is one",
                "add cost: macs to the objective, or write algorithm: tpe",
                *("search", "algorithm"),
            )
        if self.prune.scheduler != "none" and self.objective.cost is not None:
            raise broken_rule(
                f"{self.prune.scheduler} compares trials by one number, and the objective has a cost too",
                "write scheduler: none, or an objective without cost",
                *("prune", "scheduler"),
            )
        return self
