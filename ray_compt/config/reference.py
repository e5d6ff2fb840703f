"""The reference of the chain file, written from the models: `python -m ray_compt.config.reference`.

Its output is committed as `docs/chain_file.md`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ray_compt.config import deepspeed_keys as keys
from ray_compt.config.describe import describe_field, example, section_of
from ray_compt.config.distill_keys import TeacherChoice
from ray_compt.config.problems import sections
from ray_compt.config.resolve import SECTIONS
from ray_compt.config.schema import Chain, StageConfig

INTRODUCTION = """\
# The chain file

<!-- Written by `python -m ray_compt.config.reference > docs/chain_file.md`; do not edit by hand. -->

A chain file says which models to train, in ascending size, on which data and how. The shipped ones lie in
`chains/` with every key commented, and their bare names work everywhere (`compt train digits`). `compt check FILE`
validates one without running it. A short one, complete:

```yaml
name: my_chain
data:
  train: "s3://bucket/cc3m/{00000..00331}.tar"
  val: "s3://bucket/cc3m-val/*.tar"
  captions_per_image: 7
train: {global_batch: 1024, lr: 1.0e-3, warmup_steps: 1000, precision: bf16}
workers: {min: 2, max: 8, gpus: 1, cpus: 8}
transfer: {growth: lossless, distill: {weight: 1.95}}
stages:
  - {model: ViT-T-16, epochs: 128, warmup_steps: 8000}
  - {model: ViT-S-16, epochs: 24}
  - {model: ViT-B-16, epochs: 18, workers: {max: 16}}
```

## How it is read

- **YAML 1.2**: `1e-3` is a number, `no` is a text. Tags, aliases and keys that are written twice are errors. Types
  are taken at their word: `"12"` is no number.
- **Merging**: `train`, `workers`, `teacher` and `transfer` hold for all stages. A stage may override any of their
  keys, in a section of its own (`workers: {max: 16}`) or, for keys of `train` and `transfer`, without one
  (`warmup_steps: 8000`, `growth: clone`). Sections merge key by key, `distill` inside `transfer` too; lists and
  plain values are replaced.
- **Overrides**: `--set KEY=VALUE`, repeated as needed, applied in order. `--set train.lr=3e-4`;
  `--set stages.1.epochs=12` (counted from 0), `--set stages.ViT-S-16.epochs=12` (by the stage's name),
  `--set 'stages.*.epochs=2'` (every stage). `train.lr` is what stages without an `lr` of their own take. The value
  is YAML; quote texts with special characters: `--set 'data.train="{00000..00009}.tar"'`.
- **`???`** stands for a value that must be given with `--set`.
- **Errors** name the file and line (or the override), the key, what is wrong and what to write, all at once.
"""

DEEPSPEED = """\
## DeepSpeed keys

`train.deepspeed` hands these on as they are:

{allowed}

and below `zero_optimization`:

{allowed_zero}

`communication_data_type` may be `fp32`. The others are refused, because ours own them or because a checkpoint would
not be exact with them: the run would not continue as if it had never stopped, at any number of workers.

{refused}
"""


_LISTS: dict[type[BaseModel], str] = {
    StageConfig: "a list of [stages](#a-stage)",
    TeacherChoice: "a list of [teachers](#transferdistillteachers) or null",
}


# Sections that a file must have; a stage's own come from the shared ones.
_REQUIRED = ("data", "stages", "objective")


def reference() -> str:
    """The whole page, in Markdown."""
    parts = [INTRODUCTION, section_table("The file", Chain, "The keys at the top of the file.")]
    parts += [section_table(f"`{path}`", model, _scope(path, model)) for path, model in sections().items()]
    parts += [section_table("A stage", StageConfig, "An entry of `stages`."), _deepspeed()]
    return "\n".join(parts)


def section_table(title: str, model: type[BaseModel], text: str) -> str:
    """The keys of a section under a heading, in Markdown."""
    rows = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    rows += [_row(key, field) for key, field in _fields(model)]
    return "\n".join([f"## {title}", "", text, "", *rows, ""])


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for key, field in model.model_fields.items():
        if model is Chain and key == "stages":
            yield from ((name, StageConfig.model_fields[name]) for name in SECTIONS)
        yield key, field


def _row(key: str, field: FieldInfo) -> str:
    inner = section_of(field.annotation)
    if inner is None:
        takes, default, meaning = describe_field(field), _default(key, field), field.description or ""
    else:
        takes = _LISTS.get(inner, "a section")
        default = "required" if key in _REQUIRED else "`null`" if field.default is None else ""
        meaning = field.description or _first_sentence(inner)
    return f"| `{key}` | {takes} | {default} | {meaning} |"


def _default(key: str, field: FieldInfo) -> str:
    if key == "name" and field is StageConfig.model_fields["name"]:
        return "the model's name"
    if field.default is PydanticUndefined:
        return "required"
    return f"`{example(field.default)}`"


def _scope(path: str, model: type[BaseModel]) -> str:
    text = " ".join((model.__doc__ or "").split())
    if path.split(".")[0] in SECTIONS:
        text += " A stage may override any of these."
    return text


def _first_sentence(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split()).partition(". ")[0].rstrip(".") + "."


def _deepspeed() -> str:
    rows = ["| keys | why they are refused | instead |", "|---|---|---|", *_refused()]
    return DEEPSPEED.format(
        allowed=_listed(keys.ALLOWED), allowed_zero=_listed(keys.ALLOWED_ZERO), refused="\n".join(rows)
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) + "."


def _refused() -> Iterator[str]:
    """Rows of the keys that are refused, those with one reason and one remedy together."""
    together: dict[tuple[str, str | None], list[str]] = {}
    for key, why in (
        *keys.REFUSED.items(),
        *((f"{keys.ZERO}.{k}", why) for k, why in keys.REFUSED_ZERO.items()),
    ):
        together.setdefault(why, []).append(f"`{key}`")
    for (reason, instead), names in together.items():
        yield f"| {', '.join(names)} | {reason} | {instead or ''} |"


if __name__ == "__main__":
    print(reference(), end="")
