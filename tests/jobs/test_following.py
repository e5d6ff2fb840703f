"""The lines of a job, over a connection that breaks."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from ray.job_submission import JobStatus

from ray_compt.errors import TrainingError
from ray_compt.jobs import following
from ray_compt.jobs.following import follow


@dataclass
class Info:
    status: JobStatus


@dataclass
class Server:
    """A job whose log grows from one connection to the next, and whose connections break off.

    Attributes:
        logs: what each connection brings, from the beginning; the job has ended before the last one.
    """

    logs: list[str]
    address: str = "http://a"
    asked: int = 0
    client: Server = field(init=False)

    def __post_init__(self) -> None:
        self.client = self

    def info(self, job: str) -> Info:
        self.asked += 1
        return Info(JobStatus.SUCCEEDED if self.asked >= len(self.logs) else JobStatus.RUNNING)

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        log = self.logs[min(self.asked, len(self.logs)) - 1]
        at = 0
        while at < len(log):
            size = random.Random(at).randint(1, 7)
            yield log[at : at + size]
            at += size
        if self.asked < len(self.logs):
            raise RuntimeError("broken\nin two")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "AGAIN_S", 0.0)


def test_every_line_comes_once_however_often_the_connection_breaks() -> None:
    whole = "".join(f"line {number}\n" for number in range(30))
    got: list[str] = []
    info = follow(Server([whole[:50], "", whole[:120], whole[:90], whole]), "j", got.append)
    assert "".join(got) == whole
    assert info.status == JobStatus.SUCCEEDED


def test_a_server_that_does_not_come_back_ends_it() -> None:
    server = Server(["a\n"] * 1000)
    with pytest.raises(TrainingError, match="broken\\)") as ended:
        follow(server, "j", lambda text: None)
    assert server.asked < 100
    assert "compt status j --address http://a" in str(ended.value.mend)
