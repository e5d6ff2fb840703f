"""Turning a full disk into a message: what was written before stays valid, and the user can make room."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ray_compt.errors import TrainingError

# No space, quota used up, file too large, read-only after an error of the medium.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Raise what a full disk causes inside as an error for people.

    Args:
        place: folder that was being written.

    Raises:
        TrainingError: there is no room, or no more right, to write.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise TrainingError(
            f"cannot be written ({error.strerror or error}); what was saved before is kept",
            where=place,
            mend="make room there and run the same command again; it goes on from the last checkpoint",
        ) from error
