"""What model cards of all kinds have in common: lines of Markdown, from facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray_compt.config.schema import DataConfig, TrainConfig
from ray_compt.models import Macs
from ray_compt.plan.table import format_count
from ray_compt.report.published import code, without_credentials

CARD_FILE = "README.md"
# On the hub open_clip looks for the weights under a name of its own.
UPLOADS = (
    ("model.safetensors", "open_clip_model.safetensors"),
    ("open_clip_config.json", "open_clip_config.json"),
    ("README.md", "README.md"),
)
NUMBERS = ("two", "three", "four", "five")


def card_text(head: str, sections: Sequence[Sequence[str]]) -> str:
    """README.md: metadata in YAML, then each section's lines."""
    body = "\n\n".join("\n".join(section) for section in sections)
    return f"---\n{head}\n---\n\n{body}\n"


def use(example: Sequence[str] = (), more: Sequence[str] = ()) -> list[str]:
    """How to load the model with open_clip, and how to upload it.

    Args:
        example: further lines of Python.
        more: further files of the folder that belong to the model.
    """
    uploads = [*UPLOADS, *((name, name) for name in more)]
    return [
        "## Use",
        "",
        "```python",
        "import open_clip",
        "",
        'name = "local-dir:FOLDER"  # this folder; or "hf-hub:USER/REPO" once it is uploaded',
        "model, _, preprocess = open_clip.create_model_and_transforms(name)",
        "tokenizer = open_clip.get_tokenizer(name)",
        *example,
        "```",
        "",
        "On the hub open_clip looks for the weights under a name of its own, so upload "
        f"{NUMBERS[len(uploads) - 2]} files, from this folder:",
        "",
        "```sh",
        *(f"hf upload USER/REPO {source} {target}" for source, target in uploads),
        "```",
    ]


def architecture(config: Mapping[str, Any], parameters: int, forward: Macs, image_size: int) -> list[str]:
    """Both towers of open_clip's configuration; `image_size` where it names none."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    size = vision.get("image_size", image_size)
    return [
        "## Model",
        "",
        f"- Parameters: {parameters:,}; embedding of width {config['embed_dim']}",
        f"- Image tower: {_shape(vision)}, pictures of {size} pixels, {format_count(forward.image)} MACs a picture",
        f"- Text tower: {_shape(text)}, {text.get('context_length', 77)} tokens, "
        f"{format_count(forward.text)} MACs a caption",
    ]


def crops(data: DataConfig) -> str:
    return (
        f"- Random crops of {data.augment.scale[0]:g} to {data.augment.scale[1]:g} of a picture's area, resized to "
        f"{data.image_size} pixels"
    )


def optimiser(train: TrainConfig) -> list[str]:
    clip = "no clipping" if train.grad_clip is None else f"gradients clipped at {train.grad_clip:g}"
    return [
        f"- AdamW: lr {train.lr:g}, weight decay {train.weight_decay:g}, betas {train.betas[0]:g} and "
        f"{train.betas[1]:g}, eps {train.eps:g}, {clip}",
        f"- Schedule: {train.schedule}, {train.warmup_steps} steps of warm-up, down to {train.final_lr:g}",
    ]


def versions(known: Mapping[str, str]) -> list[str]:
    return [
        "## Versions",
        "",
        ", ".join(f"{name} {version}" for name, version in known.items())
        + ", of the process that wrote this card.",
    ]


def split(shards: str | list[str] | None, *, quoted: bool = False) -> str:
    """A split as the chain file names it, without credentials."""
    if shards is None:
        return "none"
    named = [without_credentials(one) for one in ([shards] if isinstance(shards, str) else shards)]
    return ", ".join(map(code, named) if quoted else named)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]


def _shape(tower: Mapping[str, Any]) -> str:
    if tower.get("timm_model_name"):
        return code(str(tower["timm_model_name"]))
    parts = [
        f"{key.replace('_', ' ')} {tower[key]}" for key in ("width", "layers", "patch_size") if key in tower
    ]
    return ", ".join(parts) or "open_clip's defaults"
