"""Which model teaches, and the name that all who ask for the same features know it by."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ray_compt.errors import UserError
from ray_compt.models import checksums
from ray_compt.models.store import WEIGHTS_FILE, load_preprocess, weights_file

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS = get_args(Precision)


@dataclass(frozen=True)
class TeacherSpec:
    """Which model teaches, and all that its features depend on.

    Attributes:
        folder: a model's folder, readable from every node that may run the teacher.
        weights: digest of its weights.
        mean, std: of the picture normalisation, one value a channel.
        precision: of its arithmetic; features leave in float32.
        rows: samples that run at once, always exactly so many, so that a feature's bits do not depend on which
            other samples were asked for at the same time.
        compile: run the towers through torch.compile.
    """

    folder: str
    weights: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    precision: Precision = "fp32"
    rows: int = 32
    compile: bool = False

    @property
    def name(self) -> str:
        """Equal for equal features, wherever the model lies."""
        identity = json.dumps([self.weights, self.mean, self.std, self.rows, self.compile])
        digest = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
        return f"teacher-{digest}-{self.precision}"


def weights_digest(folder: str) -> str:
    """Digest of a model's weights.

    Raises:
        UserError: there are none, or they are damaged.
    """
    try:
        return checksums.weights_digest(weights_file(folder))
    except (OSError, ValueError, RecursionError) as error:
        what = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        raise UserError(
            f"the teacher's weights are {what}",
            where=folder,
            mend=f"restore {WEIGHTS_FILE} from a copy, or train the chain anew in another --run-dir",
        ) from error


def spec_of(folder: str, **further: Any) -> TeacherSpec:
    """The teacher that a model's folder holds, with the normalisation that it was trained with.

    Raises:
        UserError: no model there.
    """
    preprocess = load_preprocess(folder)
    mean, std = (tuple(preprocess[key]) for key in ("mean", "std"))
    return TeacherSpec(folder, weights_digest(folder), mean, std, **further)


def rows_at_once(share: int, most: int) -> int:
    """The largest divisor of a worker's `share` of a batch that is at most `most`, so that no row is padding."""
    return max(rows for rows in range(1, min(share, most) + 1) if share % rows == 0)
