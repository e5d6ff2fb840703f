"""A model on disk: what a stage leaves behind, in open_clip's own layout.

    STAGE/
      model.safetensors        weights under open_clip's names; header: format, version, lineage
      open_clip_config.json    {"model_cfg": ..., "preprocess_cfg": ...}

`open_clip.create_model_and_transforms("local-dir:STAGE")` opens it, and `get_tokenizer` likewise. Both files
appear whole or not at all, weights last. Folders may be paths, URLs or places.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_compt import __version__
from ray_compt.errors import UserError
from ray_compt.models.build import meta_model
from ray_compt.models.validate import check_stored
from ray_compt.storage import Place, open_place

if TYPE_CHECKING:
    import torch

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "open_clip_config.json"
# open_clip's own name for weights, as on the Hugging Face hub; where it stands beside `model.safetensors`, that
# one holds transformers' layout.
OPEN_CLIP_WEIGHTS_FILE = "open_clip_model.safetensors"
FORMAT = "ray_compt.model.v1"
# open_clip keeps these as parameters without dimensions by default, our models with one (see build_model).
SCALARS = ("logit_scale", "logit_bias")
NAMED_IN_ERRORS = 3


def save_model(
    folder: str | Path | Place,
    state_dict: Mapping[str, torch.Tensor],
    config: dict[str, Any],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a model that plain open_clip loads.

    Args:
        folder: created where absent; an older model in it is replaced.
        state_dict: the model's tensors under open_clip's names, on any device; stored in their own dtype.
        config: the configuration that the tensors belong to.
        mean: per-channel mean of the pictures, range 0 to 1, R G B.
        std: per-channel standard deviation, likewise.
        metadata: further entries of the header, for example the lineage of the stage.

    Raises:
        UserError: the tensors do not belong to the configuration, or the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder = open_place(folder)
    check_state(state_dict, config, where=str(folder))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    tensors |= {name: tensors[name].reshape(()) for name in SCALARS if name in tensors}
    header = {**(metadata or {}), "format": FORMAT, "ray_compt": __version__}
    document = {"model_cfg": config, "preprocess_cfg": _preprocess(config, mean, std)}
    try:
        (folder / CONFIG_FILE).write_text(json.dumps(document, indent=2) + "\n")
        (folder / WEIGHTS_FILE).write(lambda path: save_file(tensors, path, metadata=header))
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot write the model: {getattr(error, 'strerror', None) or error}",
            where=str(folder),
            mend="give a folder that you may write to, on a disk with room",
        ) from error


def load_state(folder: str | Path | Place) -> dict[str, torch.Tensor]:
    """The tensors of a saved model, on the CPU, as `build_model(load_config(folder))` takes them.

    Raises:
        UserError: no model there, a damaged file, or tensors that are not the configuration's.
    """
    config = load_config(folder)
    path = weights_file(folder)
    state = read_tensors(path)
    check_state(state, config, where=str(path))
    return state


def weights_file(folder: str | Path | Place) -> Place:
    """Where a model's folder has its weights, or should have them."""
    theirs = open_place(folder) / OPEN_CLIP_WEIGHTS_FILE
    return theirs if theirs.is_file() else open_place(folder) / WEIGHTS_FILE


def load_scale(folder: str | Path | Place) -> float:
    """exp(logit_scale) of a saved model: the factor of its similarities, 1 / temperature.

    Raises:
        UserError: no model there, or a damaged file.
    """
    from safetensors import SafetensorError, safe_open

    path = weights_file(folder)
    try:
        with path.local() as local, safe_open(local, framework="pt") as file:
            return math.exp(file.get_tensor("logit_scale").item())
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def load_config(folder: str | Path | Place) -> dict[str, Any]:
    """open_clip's configuration of a saved model.

    Raises:
        UserError: no configuration there, or one that cannot be read.
    """
    return _load_document(folder)["model_cfg"]


def load_preprocess(folder: str | Path | Place) -> dict[str, Any]:
    """`size`, `mean`, `std` and so on of a saved model, as open_clip's PreprocessCfg names them.

    Raises:
        UserError: as `load_config`.
    """
    return _load_document(folder).get("preprocess_cfg", {})


def load_metadata(folder: str | Path | Place) -> dict[str, str]:
    """The header of a saved model: format, version of ray_compt, and what `save_model` was given.

    Raises:
        UserError: no model there, or a damaged file.
    """
    from safetensors import SafetensorError, safe_open

    path = open_place(folder) / WEIGHTS_FILE
    try:
        with path.local() as local, safe_open(local, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def check_state(state: Mapping[str, torch.Tensor], config: dict[str, Any], where: str) -> None:
    """Check that tensors are exactly those of a configuration, by name and shape.

    Raises:
        UserError: names the first few that are missing, unexpected or of another shape.
    """
    compare_shapes(state, meta_model(config).state_dict(), where)


def compare_shapes(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], where: str
) -> None:
    """`check_state` against a model's own tensors."""
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    misshaped = [
        f"{name} is {list(state[name].shape)}, expected {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state
        and state[name].shape != tensor.shape
        and not (name in SCALARS and state[name].numel() == tensor.numel() == 1)
    ]
    retyped = [
        f"{name} of {str(state[name].dtype).removeprefix('torch.')}"
        for name, tensor in expected.items()
        if name in state and state[name].is_floating_point() != tensor.is_floating_point()
    ]
    faults = [
        f"{len(names)} {kind}: {', '.join(names[:NAMED_IN_ERRORS])}"
        + ", ..." * (len(names) > NAMED_IN_ERRORS)
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshaped),
            ("of another kind of number", retyped),
        )
        if names
    ]
    if faults:
        raise UserError(
            f"these weights are not this model's; tensors {'; '.join(faults)}",
            where=where,
            mend="give the checkpoint that belongs to the model, or the model that belongs to the checkpoint",
        )


def check_finite(state: Mapping[str, torch.Tensor], where: str) -> None:
    """Refuse weights that hold NaN or infinity, from which nothing can be computed or grown."""
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise UserError(
                f"the weights {name} hold NaN or infinity",
                where=where,
                mend="its training has diverged: train it again with a lower lr, a longer warm-up or grad_clip",
            )


def read_tensors(path: str | Path | Place) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file, temperature and bias with one dimension.

    Raises:
        UserError: the file is absent or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = open_place(path)
    try:
        with path.local() as local:
            state = load_file(local)
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    return with_vector_scalars(state)


def with_vector_scalars(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors with `logit_scale` and `logit_bias` of shape [1], as `build_model` has them."""
    return {
        name: tensor.reshape(1) if name in SCALARS and tensor.ndim == 0 else tensor
        for name, tensor in state.items()
    }


def _preprocess(config: dict[str, Any], mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    return {
        "size": config["vision_cfg"].get("image_size", 224),
        "mode": "RGB",
        "mean": [float(value) for value in mean],
        "std": [float(value) for value in std],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        "fill_color": 0,
    }


def _load_document(folder: str | Path | Place) -> dict[str, Any]:
    path = open_place(folder) / CONFIG_FILE
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error
    model = document.get("model_cfg") if isinstance(document, dict) else None
    if not isinstance(model, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= model.keys():
        raise UserError(
            "no model_cfg with embed_dim, vision_cfg and text_cfg",
            where=str(path),
            mend="give a stage's folder, written by `compt train`",
        )
    check_stored(model, where=str(path))
    _check_preprocess(document.get("preprocess_cfg", {}), where=str(path))
    return document


def _check_preprocess(preprocess: Any, where: str) -> None:
    """Check the two keys that are read as numbers; open_clip leaves out the ones that it does not know."""
    if not isinstance(preprocess, dict):
        raise UserError("preprocess_cfg is no object", where=where, mend="give it mean and std, or remove it")
    for key, smallest in (("mean", -math.inf), ("std", 0.0)):
        values = preprocess.get(key, [1.0] * 3)
        numbers = isinstance(values, list) and all(isinstance(value, (int, float)) for value in values)
        if not numbers or len(values) != 3 or not all(smallest < value < math.inf for value in values):
            raise UserError(
                f"preprocess_cfg.{key} {values!r} is no normalisation",
                where=where,
                mend=f"write three finite numbers{', above 0' if key == 'std' else ''}, for R, G and B",
            )


def _unreadable(path: Place, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(
            "there is no model here",
            where=str(path),
            mend=f"give a stage's folder, which holds {WEIGHTS_FILE} and {CONFIG_FILE}",
        )
    reason = "nested too deeply" if isinstance(error, RecursionError) else error
    return UserError(
        f"damaged or unreadable: {reason}",
        where=str(path),
        mend="train the stage again, or restore the file from a copy",
    )
