"""One window of features in memory: filled from cache files, completed by the teacher, written to cache files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from ray_compt.errors import StorageError, UserError
from ray_compt.teacher.feature_cache import DamagedFeatures, FeatureCache, Features
from ray_compt.teacher.feature_ranges import Part, StoredRange, WindowRows, overlapping, runs

# Called with a line for people.
Note = Callable[[str], None]
# What a disk or a store raises.
FAULTS = (OSError, StorageError)


class FeatureWindow:
    """The features of one window of a worker.

    Attributes:
        rows: what the window is made of.
        draw: the epoch as which its samples are drawn.
        features: of all samples of the window, in the order of `rows`.
        stored: bool [n], in the range of a whole cache file; unknown there means that it could not be read.
        seen: bool [n], of batches that have been answered.
        fresh: bool [n], from the teacher and in no file.
    """

    def __init__(self, cache: FeatureCache, rows: WindowRows, draw: int):
        self._cache = cache
        self.rows, self.draw = rows, draw
        self.features = Features.empty(rows.samples, cache.spec)
        self.stored = np.zeros(rows.samples, dtype=bool)
        self.seen = np.zeros(rows.samples, dtype=bool)
        self.fresh = np.zeros(rows.samples, dtype=bool)
        # Files with gaps, which a whole one makes superfluous.
        self._gaps: set[tuple[int, StoredRange]] = set()

    def load(self, note: Note) -> None:
        """Take over what the cache knows; damaged files are removed and count as absent.

        Raises:
            OSError, StorageError: the cache cannot be read.
        """
        for part in self.rows.parts:
            for stored in overlapping(self._cache.ranges(self.draw, part.segment.shard), part.segment):
                if not self.features.known[part.span].all():
                    self._load(part, stored, note)

    def save(self) -> None:
        """Write what is not in the cache.

        Segments of which every batch was answered become whole files, the others files with gaps.

        Raises:
            OSError, StorageError: the cache cannot be written.
        """
        for part in self.rows.parts:
            if (self.seen | self.stored | self.features.known)[part.span].all():
                self._save_whole(part)
            elif self.fresh[part.span].any():
                segment = part.segment
                self._write(part, StoredRange(segment.lo, segment.hi, whole=False))

    def covered(self) -> np.ndarray:
        """bool [n]: samples for which no teacher is needed, judged by the names of whole files.

        Raises:
            OSError, StorageError: the cache cannot be read.
        """
        found = self.features.known.copy()
        for part in self.rows.parts:
            for stored in overlapping(self._cache.ranges(self.draw, part.segment.shard), part.segment):
                if stored.whole:
                    found[part.where(stored.lo, stored.hi)] = True
        return found

    def _load(self, part: Part, stored: StoredRange, note: Note) -> None:
        shard, segment = part.segment.shard, part.segment
        try:
            features = self._cache.read(self.draw, shard, stored)
        except FileNotFoundError:
            return
        except DamagedFeatures as error:
            note(f"{self._cache.file(self.draw, shard, stored)}: {error}; its features are computed again")
            with suppress(*FAULTS):
                self._cache.remove(self.draw, shard, stored)
            return
        at = part.where(stored.lo, stored.hi)
        first = segment.lo + at.start - part.at - stored.lo
        self.features.fill(at, features[first : first + at.stop - at.start])
        if not stored.whole:
            self._gaps.add((shard, stored))
        else:
            self.stored[at] = True

    def _save_whole(self, part: Part) -> None:
        segment = part.segment
        for lo, hi in runs((~self.stored | self.fresh)[part.span]):
            self._write(part, StoredRange(segment.lo + lo, segment.lo + hi, whole=True))
        gaps = (segment.shard, StoredRange(segment.lo, segment.hi, whole=False))
        if gaps in self._gaps:
            self._gaps.remove(gaps)
            with suppress(*FAULTS):
                self._cache.remove(self.draw, *gaps)

    def _write(self, part: Part, stored: StoredRange) -> None:
        at = part.where(stored.lo, stored.hi)
        self._cache.write(self.draw, part.segment.shard, stored, self.features[at])
        self.fresh[at] = False
        self.stored[at] |= stored.whole
        if not stored.whole:
            self._gaps.add((part.segment.shard, stored))


def reason(error: Exception) -> str:
    """Why a cache cannot be used, in a clause for people."""
    if isinstance(error, UserError):
        return error.message
    return getattr(error, "strerror", None) or str(error)
