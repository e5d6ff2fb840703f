"""Where commands that have no run folder keep the indexes of shards."""

from __future__ import annotations

import os
from pathlib import Path


def index_cache() -> Path:
    """The user's cache folder (XDG Base Directory Specification); it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ray_compt" / "index"
