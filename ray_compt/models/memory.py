"""Telling a lack of memory from other errors. A further allocator's words go into `HOST_TEXTS`."""

from __future__ import annotations

import torch

# What torch's own allocator says, oneDNN inside it, and the C++ library.
HOST_TEXTS = ("DefaultCPUAllocator", "could not create a primitive", "could not create a memory", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host had no memory left; torch has no exception of its own for the host."""
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in HOST_TEXTS)
    )
