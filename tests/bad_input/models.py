"""Chains whose models do not exist, cannot be built or cannot follow one another."""

from __future__ import annotations

from typing import Any

from tests.bad_input.place import model
from tests.bad_input.row import Chapter, Row


def _models(
    name: str, title: str, says: str, /, *models: Any, place: str = "chain.yaml:10", **data: Any
) -> Row:
    stages = [choice if "model" in choice else {"model": choice, "epochs": 1} for choice in models]
    return Row(f"model-{name}", title, lambda at: at.train(stages=stages, data=data), place, (says,))


def _text(**text: Any) -> dict[str, Any]:
    good = model(16)
    return {**good, "text_cfg": {**good["text_cfg"], **text}}


OTHER_PATCH = {"model": model(32, patch_size=2), "epochs": 1, "growth": "lossless"}

CHAPTER = Chapter(
    "Models of a chain",
    "Checked from their configurations alone, before anything starts and without memory for a weight.",
    (
        _models("unknown", "An unknown name", "did you mean 'ViT-T-16'?", "ViT-Z-99"),
        _models(
            "no-text",
            "A configuration without a text tower",
            "text_cfg is missing",
            {"embed_dim": 16, "vision_cfg": {}},
        ),
        _models("key", "An unknown key", "did you mean 'patch_size'?", model(16, patchsize=4)),
        _models("type", "A value of the wrong type", "layers cannot be 'many'", model(16, layers="many")),
        _models("nan", "Not a number", "mlp_ratio cannot be nan", model(16, mlp_ratio=float("nan"))),
        _models("layers", "No layers", "layers 0 is not positive", model(16, layers=0)),
        _models("billion", "A billion layers", "layers 1000000000 is above 1000", model(16, layers=10**9)),
        _models(
            "width",
            "A width of 30 digits",
            "width 1600000000000000000000000000000 is above",
            model(16 * 10**29),
        ),
        _models(
            "heads",
            "Heads that do not divide the width",
            "not a multiple of head_width 7",
            model(16, head_width=7),
        ),
        _models("text-heads", "The same in the text tower", "not a multiple of heads 3", _text(heads=3)),
        _models(
            "patch",
            "Patches that do not divide the picture",
            "multiple of patch_size, 3",
            model(16, patch_size=3),
        ),
        _models(
            "vocabulary", "A vocabulary smaller than the tokenizer's", "smaller than", _text(vocab_size=100)
        ),
        _models(
            "setting",
            "A tokenizer setting that does not exist",
            "has no setting 'x'",
            _text(tokenizer_kwargs={"x": 1}),
        ),
        _models(
            "pooling",
            "A kind of pooling that does not exist",
            "cannot build",
            model(16, pool_type="sideways"),
        ),
        _models(
            "hub",
            "A text tower from the Hugging Face hub",
            "Hugging Face hub",
            _text(hf_model_name="roberta-base"),
        ),
        _models(
            "timm",
            "A timm model, misspelt",
            "'vit_tiny_patch16_224'?",
            model(16, timm_model_name="vit_tinny_patch16_224"),
        ),
        _models(
            "timm-hub",
            "A timm model to download",
            "timm knows no model",
            model(16, timm_model_name="hf-hub:a/b"),
        ),
        _models(
            "timm-pool",
            "A timm model with impossible pooling",
            "Invalid pool type: sideways",
            model(16, timm_model_name="resnet18", timm_pool="sideways"),
            image_size=224,
        ),
        _models(
            "smaller",
            "A smaller model after a larger one",
            "is smaller than",
            model(32),
            model(16),
            place="chain.yaml:24",
        ),
        _models(
            "context",
            "Neighbours that read captions of different length",
            "context_length of",
            model(16),
            {**model(32), "text_cfg": {**model(32)["text_cfg"], "context_length": 12}},
            place="chain.yaml:24",
        ),
        _models(
            "growth",
            "Lossless growth to another patch size",
            "patch_size differs",
            model(16),
            OTHER_PATCH,
            place="chain.yaml:38",
        ),
    ),
)
