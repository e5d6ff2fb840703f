"""Running a contender on given cores, with the time of each line that it prints and the memory that it takes."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.integration.harness import end

POLL_S = 0.1
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
# Cores of the processes whose title begins so; the first match counts.
Pins = Mapping[str, frozenset[int]]


@dataclass
class Finished:
    """A process that has ended well.

    Attributes:
        began: when its command was given, seconds since the epoch.
        lines: (when, text) of what it printed.
        peaks: peak resident memory by pid, bytes, of it and all that it started.
        titles: what each of these was.
    """

    began: float
    lines: list[tuple[float, str]] = field(default_factory=list)
    peaks: dict[int, int] = field(default_factory=dict)
    titles: dict[int, str] = field(default_factory=dict)

    def peak(self, title: str) -> int:
        """Largest peak of a process whose title begins so; 0 where there was none."""
        return max(
            (peak for pid, peak in self.peaks.items() if self.titles[pid].startswith(title)), default=0
        )

    @property
    def text(self) -> str:
        return "\n".join(text for _, text in self.lines)


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    cores: frozenset[int],
    pins: Pins | None = None,
    timeout_s: float = 1800,
) -> Finished:
    """Run a command to its end; all its processes stay on `cores`, or where `pins` puts them.

    Raises:
        RuntimeError: it failed, with the end of what it said, or took too long.
    """
    finished = Finished(time.time())
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    reader = threading.Thread(target=_read, args=(process, finished), daemon=True)
    reader.start()
    deadline = time.monotonic() + timeout_s
    family: set[psutil.Process] = set()
    try:
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{command[:4]} took more than {timeout_s:g} s")
            family |= _look(process.pid, finished, pins or {})
            time.sleep(POLL_S)
    finally:
        end([one for one in family if one.is_running()])
    reader.join(10)
    if process.returncode:
        raise RuntimeError(
            f"{' '.join(command[:6])} ended with {process.returncode}:\n{finished.text[-3000:]}"
        )
    return finished


def _read(process: subprocess.Popen[str], finished: Finished) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        finished.lines.append((time.time(), line.rstrip("\n")))


def _look(pid: int, finished: Finished, pins: Pins) -> set[psutil.Process]:
    """Note peaks and titles of the processes that are there now, and move them to their cores."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        family = {process, *process.children(recursive=True)}
        for one in family:
            with suppress(psutil.Error, OSError):
                _note(one, finished, pins)
        return family
    return set()


def _note(process: psutil.Process, finished: Finished, pins: Pins) -> None:
    status = Path(f"/proc/{process.pid}/status").read_text()
    if (peak := _PEAK.search(status)) is None:
        return
    finished.peaks[process.pid] = 1024 * int(peak[1])
    title = finished.titles[process.pid] = " ".join(process.cmdline())
    cores = next((cores for prefix, cores in pins.items() if title.startswith(prefix)), None)
    if cores is not None:
        for thread in process.threads():
            with suppress(OSError):
                os.sched_setaffinity(thread.id, cores)
