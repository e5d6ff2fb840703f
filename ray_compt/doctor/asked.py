"""What somebody wants to do with the nodes: which paths to read and to write, and how many workers to start. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ray_compt.train.cluster import Needs


@dataclass(frozen=True)
class Reading:
    """Data that every node reads.

    Attributes:
        name: of the check, for example ``data.train``.
        spec: as the chain file writes it: shards, named data, or a folder.
    """

    name: str
    spec: str | Sequence[str]


@dataclass(frozen=True)
class Writing:
    """A folder that every node writes to, and reads what others have written there.

    Attributes:
        name: of the check, for example ``run folder``.
        path: an absolute path, or a URL; it need not exist yet.
    """

    name: str
    path: str


@dataclass(frozen=True)
class Asked:
    """All of it.

    Attributes:
        reads, writes: the paths.
        needs: of the cluster; None: nothing is known.
        disk_bytes: that the first of `writes` takes, about; 0: not known.
    """

    reads: tuple[Reading, ...] = ()
    writes: tuple[Writing, ...] = ()
    needs: Needs | None = None
    disk_bytes: int = 0

    @property
    def gpus(self) -> bool:
        """Whether anything of it runs on GPUs."""
        return self.needs is not None and (self.needs.gpus > 0 or self.needs.teacher_gpus > 0)
