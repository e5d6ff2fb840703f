"""The operators that paste the source into fresh random weights: `embed` and `official_slice`. Neither is lossless."""

from __future__ import annotations

from torch import Tensor

from ray_compt.growth.clip import describe, fuse_heads, split_heads
from ray_compt.growth.clip_config import ClipConfig, fresh_weights
from ray_compt.growth.spaces import grown_parts


def embed(state: dict[str, Tensor], source: ClipConfig, target: ClipConfig, seed: int) -> dict[str, Tensor]:
    """The CoM-PT paper's weight initialisation done right: each tensor in the corner of a fresh one.

    Q, K and V are pasted separately, so that whole heads arrive whole; a deeper target repeats layers in
    place (layer i is layer floor(i L/L') of the source). Preserves no function: the new channels are
    random and disturb the old ones. The temperature (`logit_scale`) starts fresh.
    """
    return embed_into(fresh_weights(target.raw, seed, state["logit_scale"]), state, source, target)


def embed_into(
    tensors: dict[str, Tensor], state: dict[str, Tensor], source: ClipConfig, target: ClipConfig
) -> dict[str, Tensor]:
    """Paste a source's tensors into the target's `tensors` as `embed` does; these are changed."""
    grown, split = split_heads(tensors), split_heads(state)
    for ours, theirs in zip(describe(source).towers, describe(target).towers):
        for part in grown_parts(ours, theirs):
            for old, new in zip(part.sources, part.targets):
                if old in split:
                    _paste(split[old], grown[new])
    return fuse_heads(grown)


def official_slice(
    state: dict[str, Tensor], target: ClipConfig, seed: int, *, source_layers: int
) -> dict[str, Tensor]:
    """What the code released with CoM-PT does (deep-optimization/CoM-PT, src/training/main_kd.py).

    Kept for reproducing published numbers, with its faults:

    - Every tensor is copied into the corner of a freshly initialised student's, *also the fused attention
      weight* [3W, W] and bias [3W]. The source's rows Q, K, V thus fill the student's rows from the top,
      W' of which are its Q, the next W' its K, the last its V. For W' = 2W the student's Q is the source's
      Q and K, its K the source's V and as many random rows, its V wholly random (as for any W' >= 1.5 W).
    - LayerNorms are copied to the corner while the streams around them are partly random.
    - Scalars (the temperature) and four-dimensional tensors (patch embedding) are copied, tensors of three
      dimensions are left out.
    - Depth: with its flag `--differ-width True` (whose name says width) source layer i of the *image* tower
      is copied to layers 2i and 2i + 1, neither zeroed; the released script for ViT-B -> ViT-L sets it.
      Here it is taken as set exactly where the target's image tower is twice as deep. Otherwise the first
      layers are copied and further ones stay random; the text tower's depth is always treated so.
    - Where the embedding shrinks the released code stops with a shape error; here the overlap is copied.

    The student's fresh weights are the installed open_clip's, drawn from `seed`.
    """
    fresh = fresh_weights(target.raw, seed, state["logit_scale"])
    return official_slice_into(fresh, state, target, source_layers=source_layers)


def official_slice_into(
    tensors: dict[str, Tensor], state: dict[str, Tensor], target: ClipConfig, *, source_layers: int
) -> dict[str, Tensor]:
    """Paste a source's tensors into the target's `tensors` as `official_slice` does; these are changed."""
    doubled = target.vision.layers == 2 * source_layers
    for key, value in state.items():
        for name in _official_names(key, doubled):
            if name in tensors and value.ndim != 3:
                _paste(value, tensors[name])
    return tensors


def _official_names(key: str, doubled: bool) -> list[str]:
    prefix = "visual.transformer.resblocks."
    if not (doubled and key.startswith(prefix)):
        return [key]
    layer, _, rest = key[len(prefix) :].partition(".")
    return [f"{prefix}{2 * int(layer) + copy}.{rest}" for copy in (0, 1)]


def _paste(value: Tensor, into: Tensor) -> None:
    """Copy to the corner with all indices from 0, as far as both reach; in place."""
    overlap = tuple(slice(0, min(ours, theirs)) for ours, theirs in zip(value.shape, into.shape))
    into[overlap] = value[overlap]
