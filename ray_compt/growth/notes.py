"""Sentences about a growth, for `explain`. A new way of growing says here what it keeps and loses."""

from __future__ import annotations

from collections.abc import Mapping

from ray_compt.growth.clip import describe
from ray_compt.growth.clip_config import ClipConfig
from ray_compt.growth.spaces import Tower


def lossless_notes(
    source: ClipConfig, target: ClipConfig, operators: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """What a lossless operator does, and in what it is not lossless for this pair."""
    notes = [
        _tower(ours, theirs, operators[ours.name])
        for ours, theirs in zip(describe(source).towers, describe(target).towers)
    ]
    losses = []
    if (
        operators["image"] == "lemon"
        and target.vision.width > source.vision.width
        and not source.vision.no_ln_pre
    ):
        notes.append(
            "image: through ln_pre lemon is exact to about 1e-6 (docs/growth.md), otherwise to rounding"
        )
    if target.embed_dim > source.embed_dim:
        notes.append(f"embedding: {source.embed_dim} -> {target.embed_dim}, all cosines are kept")
    if target.embed_dim < source.embed_dim:
        losses.append(
            f"embedding: {source.embed_dim} -> {target.embed_dim} by the principal subspace of both projections; "
            "not lossless, the towers below are"
        )
    if source.image_grid != target.image_grid:
        before, after = ("x".join(map(str, grid)) for grid in (source.image_grid, target.image_grid))
        losses.append(
            f"image: positions interpolated from {before} to {after} patches (bicubic); not lossless"
        )
    if source.init_logit_bias is None and target.init_logit_bias is not None:
        notes.append("logit_bias starts fresh: the source has none")
    return notes, losses


def _tower(source: Tower, target: Tower, operator: str) -> str:
    before, after = source.stream.size, target.stream.size
    width = f"width {before} -> {after} by {operator}" if after > before else f"width {before} copied"
    neurons = source.spaces["neurons"].size, target.spaces["neurons"].size
    if neurons[0] * after != neurons[1] * before:
        width += f", neurons {neurons[0]} -> {neurons[1]}"
    layers = [
        f", layers {ours.layers} -> {theirs.layers}, the inserted ones start as the identity"
        for ours, theirs in zip(source.stacks, target.stacks)
        if theirs.layers > ours.layers
    ]
    return f"{source.name}: {width}{''.join(layers)}"


def official_notes(source: ClipConfig, target: ClipConfig) -> list[str]:
    """Which of the released code's faults this pair meets."""
    notes = ["the fused attention weights are copied corner to corner: Q, K and V end up in the wrong rows"]
    if target.vision.layers == 2 * source.vision.layers:
        notes.append("image: each layer is copied twice, as the released code does under --differ-width")
    return notes
