"""The reference of the sweep file, written from the models: `python -m ray_compt.config.sweep_reference`.

Its output is committed as `docs/sweep_file.md`; a test compares the two.
"""

from __future__ import annotations

from pydantic import BaseModel

from ray_compt.config.distributions import MEANINGS
from ray_compt.config.problems import sections
from ray_compt.config.reference import section_table
from ray_compt.config.sweep_keys import FITTING, Sweep

INTRODUCTION = """\
# The sweep file

<!-- Written by `python -m ray_compt.config.sweep_reference > docs/sweep_file.md`; do not edit by hand. -->

A sweep file says what is varied of a [chain file](chain_file.md), what counts, and how it is searched. The shipped ones
lie in `chains/sweeps/` with every key commented, and their bare names work everywhere (`compt tune digits_quick`). A
short one, complete:

```yaml
name: my_sweep
chain: vit_7
space:
  train.lr: {loguniform: [3.0e-4, 3.0e-3]}
  transfer.growth: {choice: [lossless, embed]}
  stages.*.precision: bf16
chains: {subsets_of: [T, S, B, L], end: L, length: [2, 4], ratio: [1.5, 8]}
objective: {metric: image_to_text_r1, cost: macs}
search: {algorithm: tpe, trials: 40}
```

A **candidate** is a composition with a value for each key of the space; a **trial** is a candidate with one seed.

## How it is read

- As a chain file is: YAML 1.2, types at their word, `--set KEY=VALUE` for keys of the base chain (not of the space),
  every error with its file and line. A value that a key does not take is an error before anything starts.
- **Keys of the space** are those of the chain file as `--set` reads them: `train.lr` is what stages without an `lr` of
  their own take, `stages.*.lr` every stage's, `stages.S.lr` that of one stage, `stages.1.lr` that of the second stage
  of every chain that has one. Later keys win over earlier ones. A key that no stage of a chain reads has no value
  there: `stages.S.lr` in a chain without S, `transfer.growth` in a chain of one.
- **Not in the space**: `name`, `seed` (write `seeds`), a stage's `name` and `model` (write `chains`), whole stages.
- **Chains** keep the base chain's stages as they are, but for the first model of each. It is trained from scratch, so
  it takes `epochs` and its keys of `train` as the base chain's first stage has them; its own stay only those that say
  how it fits and runs: FITTING. A teacher that a stage names and that the chain lacks is left out.
- **Epochs in the list**: `list: [{S: 160, M: 20}, {S: 80, M: 30}]` gives each stage of a chain its epochs, the first
  model too. They are values of these chains (`stages.S.epochs`), and neither the space nor `--set` may give them as
  well. `compt design --write` writes such a list.
- **Pairs that cannot be grown** are those that every growth of the sweep (but `random`) refuses; `auto` counts as
  `lossless` where there are `chains`. Where only some refuse, candidates with these go by `ungrowable` too.

## Distributions

| write | meaning |
|---|---|
DISTRIBUTIONS

A plain value, or a list, fixes the key.
"""


def reference() -> str:
    """The whole page, in Markdown."""
    rows = [f"| `{{{kind}: {form}}}` | {meaning} |" for kind, (form, meaning) in MEANINGS.items()]
    fitting = ", ".join(f"`{key}`" for key in FITTING)
    # Not str.format: the example has braces of its own.
    head = INTRODUCTION.replace("FITTING", fitting).replace("DISTRIBUTIONS", "\n".join(rows))
    parts = [head, section_table("The file", Sweep, "The keys at the top of the file.")]
    parts += [section_table(f"`{path}`", model, _text(model)) for path, model in sections(Sweep).items()]
    return "\n".join(parts)


def _text(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


if __name__ == "__main__":
    print(reference(), end="")
