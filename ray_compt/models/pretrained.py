"""Open a trained model: a stage's folder, a checkpoint file, or an open_clip name with a tag."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_compt.config.schema import ModelChoice
from ray_compt.errors import StorageError, UserError, placed
from ray_compt.models.build import build_model
from ray_compt.models.configs import model_config, open_clip_name, with_image_size
from ray_compt.models.names import OPEN_CLIP_PREFIX, family_letter
from ray_compt.models.store import (
    CONFIG_FILE,
    check_finite,
    compare_shapes,
    load_config,
    load_preprocess,
    read_tensors,
    weights_file,
    with_vector_scalars,
)
from ray_compt.storage import Place, is_url, open_place

if TYPE_CHECKING:
    import torch

CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
log = logging.getLogger(__name__)


def open_pretrained(
    ref: str | Path, image_size: int | None = None, model: ModelChoice | None = None
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Open a model for evaluation or growth; the first rule that fits is taken.

    1. A folder or URL with `open_clip_config.json` (a stage's): its weights.
    2. A file `*.safetensors`, `*.pt`, `*.pth`, `*.bin`: a checkpoint of `model`; only tensors are unpickled.
    3. `NAME/TAG` (`ViT-B-32/laion2b_s34b_b79k`): open_clip's pretrained weights, downloaded where not cached.
    4. A bare name or letter: that model untrained (seed 0), with a warning in the log.

    Args:
        ref: what to open.
        image_size: picture size to run at, pixels; position embeddings are interpolated. None: the own.
        model: the architecture of a bare checkpoint file.

    Returns:
        The model (float32, CPU, evaluation mode; `model.visual.preprocess_cfg` says mean, std and size) and
        its configuration.

    Raises:
        UserError: nothing of that name, weights of another model, a damaged file, a failed download.
    """
    path = open_place(ref)
    if path.is_folder():
        config = load_config(path)
        return _open_weights(weights_file(path), config, image_size, load_preprocess(path))
    if path.name.endswith(CHECKPOINT_SUFFIXES):
        return _open_file(path, image_size, model)
    if is_url(ref):
        raise _nothing(str(ref))
    ref = str(ref)
    if open_clip_name(ref) is None and "/" in ref:
        name, tag = ref.rsplit("/", 1)
        return _open_tag(name, tag, image_size)
    config = model_config(ref, image_size)
    log.warning("%s names no weights: an untrained model", ref)
    return _finish(build_model(config, seed=0), {}), config


def _open_file(
    path: Place, image_size: int | None, model: ModelChoice | None
) -> tuple[torch.nn.Module, dict[str, Any]]:
    if not path.is_file():
        raise _nothing(str(path))
    if model is None:
        raise UserError(
            "a checkpoint file does not say which model it holds",
            where=str(path),
            mend=f"give a folder that also holds {CONFIG_FILE}; `compt grow` takes the model as --from",
        )
    return _open_weights(path, model_config(model), image_size, {})


def _open_weights(
    path: Place, config: dict[str, Any], image_size: int | None, preprocess: dict[str, Any]
) -> tuple[torch.nn.Module, dict[str, Any]]:
    from open_clip.model import resize_pos_embed

    state = read_tensors(path) if path.name.endswith(".safetensors") else _read_pickle(path)
    with placed(str(path)):
        own = build_model(config, seed=0)
    compare_shapes(state, own.state_dict(), where=str(path))
    check_finite(state, where=str(path))
    if image_size is not None and image_size != config["vision_cfg"].get("image_size", 224):
        config = with_image_size(config, image_size, where=str(path))
        with placed(str(path)):
            own = build_model(config, seed=0)
        resize_pos_embed(state, own)
    own.load_state_dict(state)
    return _finish(own, preprocess), config


def _read_pickle(path: Place) -> dict[str, torch.Tensor]:
    import torch
    from open_clip.factory import load_state_dict

    mend = "give a state_dict saved by torch.save or, better, a safetensors file"
    try:
        with path.local() as local, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd pickles, which are refused below anyway
            state = load_state_dict(str(local), weights_only=True)
    except StorageError:
        raise
    except Exception as error:
        # torch's restricted unpickler raises whatever the bytes lead it to: any error means the file is no good.
        if "weights_only" in str(error):  # where torch goes on to advise running the file's code
            reason = "it holds more than tensors, and what it holds is not run"
        else:
            reason = "it was not written by torch.save, or is damaged"
        raise UserError(f"no checkpoint of tensors: {reason}", where=str(path), mend=mend) from error
    if not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise UserError("no checkpoint of tensors: it holds other values too", where=str(path), mend=mend)
    return with_vector_scalars(state)


def _open_tag(name: str, tag: str, image_size: int | None) -> tuple[torch.nn.Module, dict[str, Any]]:
    import open_clip

    letter = family_letter(name)
    registered = open_clip_name(f"ViT-{letter}-16" if letter else name)
    if registered is None:
        raise _nothing(f"{name}/{tag}")
    tags = open_clip.list_pretrained_tags_by_model(registered)
    if tag not in tags:
        raise UserError(
            f"open_clip has no weights {tag!r} for {registered}",
            where=f"{name}/{tag}",
            mend=f"its tags: {', '.join(tags)}" if tags else "open_clip has no weights for this model at all",
        )
    config = model_config(f"{OPEN_CLIP_PREFIX}{registered}", image_size)
    # A tag may have been trained with the other activation than the name says; open_clip only warns of it.
    quick_gelu = bool(open_clip.get_pretrained_cfg(registered, tag).get("quick_gelu"))
    config |= {"quick_gelu": True} if quick_gelu else {}
    try:
        model = open_clip.create_model(
            registered,
            pretrained=tag,
            force_image_size=image_size,
            force_quick_gelu=quick_gelu,
            nonscalar_logit_scale=True,
        )
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot get the weights {registered}/{tag}: {str(error).splitlines()[0]}",
            where=f"{name}/{tag}",
            mend="check the network, or fetch the weights by other means and give their file or folder",
        ) from error
    return model.eval(), config


def _finish(model: torch.nn.Module, preprocess: dict[str, Any]) -> torch.nn.Module:
    from open_clip import set_model_preprocess_cfg
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    merged = merge_preprocess_dict(PreprocessCfg(), preprocess)
    visual: Any = model.visual
    set_model_preprocess_cfg(model, merged | {"size": visual.image_size})
    return model.eval()


def _nothing(ref: str) -> UserError:
    return UserError(
        "nothing to open there",
        where=ref,
        mend="give a stage's folder, a checkpoint file, or open_clip's NAME/TAG",
    )
