"""Bringing the parts of a batch onto a device, each while the one before is computed with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

Part = tuple[Tensor, ...]


def on_device(parts: Iterable[Part], device: torch.device) -> Iterator[Part]:
    """The parts on the device, in order.

    On a GPU each part is copied from pinned memory on a stream of its own, one part ahead of its use.
    """
    if device.type != "cuda":
        for part in parts:
            yield tuple(tensor.to(device) for tensor in part)
        return
    copies = torch.cuda.Stream(device)
    ahead: tuple[Part, Any] | None = None
    for part in parts:
        started = _start_copy(part, device, copies)
        if ahead is not None:
            yield _arrived(*ahead)
        ahead = started
    if ahead is not None:
        yield _arrived(*ahead)


def _start_copy(part: Part, device: torch.device, stream: torch.cuda.Stream) -> tuple[Part, Any]:
    with torch.cuda.stream(stream):
        moved = tuple(tensor.pin_memory().to(device, non_blocking=True) for tensor in part)
        copied = torch.cuda.Event()
        copied.record(stream)
    return moved, copied


def _arrived(part: Part, copied: Any) -> Part:
    stream = torch.cuda.current_stream()
    stream.wait_event(copied)
    for tensor in part:
        # Its memory belongs to the copying stream, which must not reuse it before this one is done.
        tensor.record_stream(stream)
    return part
