"""Ray's random identifiers in forks.

Ray's library takes tasks' and objects' identifiers from a generator that seeds itself when it is first used. Were that
before a fork, all forks would draw the same ones, and a worker would be given another one's objects: wrong data, and no
error. So nothing may draw before, and the server makes sure that nothing has.
"""

from __future__ import annotations

import os
from typing import Any

DRAWS = 4


def keep_unseeded() -> None:
    """Let actor classes, the only ones to draw when they are defined, take their identifiers from the system."""
    import ray.actor
    from ray._raylet import ActorClassID

    class FromSystem:
        @staticmethod
        def from_random() -> Any:
            return ActorClassID(os.urandom(ActorClassID.size()))

    ray.actor.ActorClassID = FromSystem


def differ_in_forks() -> bool:
    """Whether two forks of this process draw different identifiers."""
    return _draw_in_fork() != _draw_in_fork()


def _draw_in_fork() -> bytes:
    from ray._raylet import UniqueID

    end, start = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(start, b"".join(UniqueID.from_random().binary() for _ in range(DRAWS)))
        os._exit(0)
    os.close(start)
    os.waitpid(pid, 0)
    with os.fdopen(end, "rb") as drawn:
        return drawn.read()
