"""The lines of a job, as its driver prints them, until it ends or its follower leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ray_compt.errors import TrainingError

AGAIN_S = 1.0
# Connections in a row that bring nothing, after which the job's lines count as lost.
TRIES = 30


def follow(server: Any, job: str, write: Callable[[str], object]) -> Any:
    """Write a job's lines until it has ended; returns its last `JobDetails`.

    A connection that breaks is made again, and no line is written twice.

    Args:
        server: the `JobServer`.
        job: its submission id.
        write: takes text, with its line ends.

    Raises:
        TrainingError: the server does not answer any more.
        KeyboardInterrupt: somebody does not want to follow any more; the job goes on.
    """
    return asyncio.run(_follow(server, job, write))


async def _follow(server: Any, job: str, write: Callable[[str], object]) -> Any:
    seen, fruitless = 0, 0
    while True:
        tail, reason = Tail(seen, write), "the connection ends"
        try:
            info = server.info(job)
            async for text in server.client.tail_job_logs(job):
                tail.add(text)
            # Lines of a job that had ended before are all there.
            if info.status.is_terminal():
                return info
        except Exception as error:
            # Ray's client and aiohttp have many ways to say that a connection broke.
            reason = next(iter(str(error).splitlines()), type(error).__name__)
        fruitless = 0 if tail.seen > seen else fruitless + 1
        seen = tail.seen
        if fruitless > TRIES:
            raise TrainingError(
                f"its lines do not arrive any more ({reason}); the job itself may go on",
                where=f"job {job}",
                mend=f"`compt status {job} --address {server.address}` shows where it is",
            )
        await asyncio.sleep(AGAIN_S)


class Tail:
    """Writes what comes after the first `seen` characters of a text that arrives in parts."""

    def __init__(self, seen: int, write: Callable[[str], object]):
        self.seen, self._at, self._write = seen, 0, write

    def add(self, part: str) -> None:
        fresh = part[max(0, self.seen - self._at) :]
        self._at += len(part)
        self.seen = max(self.seen, self._at)
        if fresh:
            self._write(fresh)
