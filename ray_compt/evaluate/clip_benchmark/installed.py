"""Whether clip_benchmark is there."""

from __future__ import annotations

from importlib.util import find_spec

from ray_compt.errors import UserError


def require_clip_benchmark() -> None:
    """Raise a UserError that names the extra where clip_benchmark is not installed."""
    if find_spec("clip_benchmark") is None:
        raise UserError(
            "the package clip_benchmark is not installed",
            where="--suite clip_benchmark",
            mend="pip install 'ray_compt[eval]'",
        )
