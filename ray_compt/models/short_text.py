"""Captions without their padding.

A causal text tower that reads its result at the end of a caption never looks at what follows there, so captions may be
cut behind their ends: values and gradients stay the same up to rounding. One long caption would keep the padding of
all others, so captions of like lengths go through the tower together, in a few groups. open_clip's CLIP insists on
the full length; `ShortTextCLIP` does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from open_clip.model import CLIP
from open_clip.transformer import text_global_pool
from torch import Tensor, nn
from torch.nn import functional

# Lengths are rounded up to it: few different shapes, and sides that matrix units like.
MULTIPLE = 8
# Padding, in tokens, that is cheaper than another pass through the tower. On a GPU a pass costs the starting of its
# kernels, some milliseconds however few captions there are.
CHEAP = 256
CHEAP_ON_GPU = 8192


@dataclass(frozen=True)
class Captions:
    """N captions in groups of like lengths.

    Attributes:
        groups: tokens [m, l] of m captions cut to l, each group on its own; together all N.
        places: int64 [N], where in the groups' concatenation caption i lies; None: at i, in one group.
    """

    groups: tuple[Tensor, ...]
    places: Tensor | None = None

    def to(self, device: torch.device | str) -> Captions:
        places = None if self.places is None else self.places.to(device, non_blocking=True)
        return Captions(tuple(group.to(device, non_blocking=True) for group in self.groups), places)


class ShortTextCLIP(CLIP):
    """open_clip's CLIP that also takes captions cut behind their ends."""

    @property
    def takes_short_text(self) -> bool:
        """Whether the text tower's features do not depend on padding."""
        return self.attn_mask is not None and self.text_pool_type == "argmax"

    def encode_text(self, text: Tensor | Captions, normalize: bool = False) -> Tensor:
        """Features [N, E] of tokens [N, l], l up to the context length L, or of N captions in groups."""
        if isinstance(text, Tensor):
            return self._encode(text, normalize)
        features = torch.cat([self._encode(group, normalize) for group in text.groups])
        return features if text.places is None else features[text.places]

    def _encode(self, text: Tensor, normalize: bool) -> Tensor:
        if not self.takes_short_text:
            return super().encode_text(text, normalize)
        length, dtype = text.shape[1], self.transformer.get_cast_dtype()
        x = self.token_embedding(text).to(dtype) + self.positional_embedding[:length].to(dtype)
        x = self.transformer(x, attn_mask=self.attn_mask[:length, :length])
        # LayerNorm knows one position only, so the others need none.
        x = self.ln_final(text_global_pool(x, text, self.text_pool_type))
        if isinstance(self.text_projection, nn.Linear):
            x = self.text_projection(x)
        elif self.text_projection is not None:
            x = x @ self.text_projection
        return functional.normalize(x, dim=-1) if normalize else x


def without_padding(model: nn.Module, tokens: Tensor) -> Tensor | Captions:
    """Captions [N, L] as `model.encode_text` takes them at the least cost; of other models the tokens themselves.

    Args:
        model: on the device where it will run.
        tokens: on the CPU, or their device is waited for.
    """
    if not getattr(model, "takes_short_text", False) or not len(tokens):
        return tokens
    rounded = (caption_lengths(tokens) + MULTIPLE - 1) // MULTIPLE * MULTIPLE
    lengths = rounded.clamp_(max=tokens.shape[1])
    counts = dict(zip(*(part.tolist() for part in lengths.unique(return_counts=True))))
    on_gpu = next(model.parameters()).is_cuda
    limits = group_lengths(counts, CHEAP_ON_GPU) if on_gpu else group_lengths(counts)
    if len(limits) == 1:
        return Captions((tokens[:, : limits[0]],))
    group = torch.bucketize(lengths, torch.tensor(limits))
    order = group.argsort(stable=True)
    parts = tokens[order].split(group.bincount(minlength=len(limits)).tolist())
    return Captions(
        tuple(part[:, :limit] for part, limit in zip(parts, limits)),
        torch.empty_like(order).scatter_(0, order, torch.arange(len(order))),
    )


def caption_lengths(tokens: Tensor) -> Tensor:
    """int64 [N]: tokens [N, L] that the tower looks at: a caption ends at the first of its largest tokens."""
    return tokens.argmax(dim=-1) + 1


def group_lengths(counts: dict[int, int], cheap: int = CHEAP) -> list[int]:
    """Lengths of the groups, ascending, for `counts[l]` captions of length l.

    From the shortest up, captions join the next longer ones where the padding that they get there is cheap.
    """
    lengths = sorted(counts)
    limits, waiting = [], 0
    for length, longer in zip(lengths, [*lengths[1:], None]):
        waiting += counts[length]
        if longer is None or waiting * (longer - length) > cheap:
            limits.append(length)
            waiting = 0
    return limits
