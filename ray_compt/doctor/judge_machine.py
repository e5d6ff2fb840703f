"""What a machine is like against what training wants of it: shared memory, disks, limits, GPUs, clocks. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sized

from ray_compt.doctor.facts import NodeFacts
from ray_compt.doctor.finding import Finding, Problem, State, together

GB = 10**9
# Docker gives 64 MB where nobody asks for more; Ray then keeps its objects on a disk.
SHARED_BYTES = GB
# Ray refuses to write objects to a disk that is fuller than this (RAY_local_fs_capacity_threshold).
FULLEST = 0.95
# A checkpoint on its way to an object store, and Ray's logs and sockets.
TEMP_BYTES = 5 * GB
# Ray's processes and connections on a node, and the shards that its readers hold open.
OPEN_FILES = 4096
# The lease on a run folder in an object store allows for a minute between two hosts.
CLOCK_WARN_S, CLOCK_WRONG_S = 5.0, 60.0


def judge_shared_memory(nodes: Mapping[str, tuple[NodeFacts, float]]) -> list[Finding]:
    """Room for Ray's objects; with each node the bytes that Ray means to keep there, 0 where it does not run."""
    problems = []
    for node, (facts, wanted) in nodes.items():
        found = facts.shared_memory or 0
        if found < max(SHARED_BYTES, wanted):
            problems.append((node, _shared_problem(found, wanted)))
    least = min((facts.shared_memory or 0 for facts, _ in nodes.values()), default=0)
    return together("shared memory", problems, f"/dev/shm holds {gigabytes(least)}{_each(nodes)}")


def _shared_problem(found: float, wanted: float) -> Problem:
    why = f", and Ray's object store wants {gigabytes(wanted)}" if wanted > found else ""
    return Problem(
        "warn",
        f"/dev/shm holds {gigabytes(found)}{why}: objects go through a disk",
        "`docker run --shm-size=8g` or more, in Kubernetes an emptyDir with `medium: Memory` at /dev/shm",
    )


def judge_temp(nodes: Mapping[str, NodeFacts]) -> list[Finding]:
    """Room for temporary files and Ray's session."""
    problems = []
    for node, facts in nodes.items():
        used = 1 - facts.temp_free / facts.temp_bytes if facts.temp_bytes else 1.0
        if used > FULLEST:
            found = f"the disk of {facts.temp} is {used:.0%} full; Ray stops writing objects at {FULLEST:.0%}"
            problems.append(
                (node, Problem("wrong", found, "make room there, or give Ray another --temp-dir"))
            )
        elif facts.temp_free < TEMP_BYTES:
            found = f"{gigabytes(facts.temp_free)} free in {facts.temp}"
            problems.append((node, Problem("warn", found, "make room there: checkpoints pass through it")))
    least = min((facts.temp_free for facts in nodes.values()), default=0)
    return together("temporary files", problems, f"{gigabytes(least)} free{_each(nodes)}")


def judge_disk(where: str, free: int | None, wanted: int) -> list[Finding]:
    """Room for the run folder.

    Args:
        where: the folder, or the one above it that is there.
        free: bytes; None: an object store, which has no end.
        wanted: bytes that the run takes, about; 0: not known.
    """
    if free is None:
        return [Finding("disk", "ok", f"{where} is in an object store")]
    takes = f"; the run takes about {gigabytes(wanted)}" if wanted else ""
    found = f"{gigabytes(free)} free at {where}{takes}"
    if free < wanted:
        return [Finding("disk", "wrong", found, "make room there, or give another --run-dir")]
    return [Finding("disk", "ok", found)]


def judge_open_files(nodes: Mapping[str, NodeFacts]) -> list[Finding]:
    problems = [
        (
            node,
            Problem(
                "warn",
                f"a process may open {facts.open_files} files only",
                "`ulimit -n 65536` before `ray start`, or LimitNOFILE in its service",
            ),
        )
        for node, facts in nodes.items()
        if facts.open_files < OPEN_FILES
    ]
    return together("open files", problems, f"a process may open {_files(nodes)}{_each(nodes)}")


def judge_gpus(nodes: Mapping[str, tuple[NodeFacts, float]], asked: bool) -> list[Finding]:
    """Whether torch can use the GPUs.

    Args:
        nodes: of each node its facts, and how many GPUs Ray counts there.
        asked: whether the chain wants any; otherwise nothing here can stop it.
    """
    problems: list[tuple[str, Problem]] = []
    for node, (facts, counted) in nodes.items():
        problems += [(node, problem) for problem in _gpu_problems(facts, counted, asked)]
    total = sum(facts.gpus for facts, _ in nodes.values())
    with_gpus = [facts for facts, _ in nodes.values() if facts.gpus]
    pairs = sorted(
        {f"driver for CUDA {facts.driver_cuda}, torch for {facts.torch_cuda}" for facts in with_gpus}
    )
    return together("GPUs", problems, f"{total}; {'; '.join(pairs)}" if total else "none")


def _gpu_problems(facts: NodeFacts, counted: float, asked: bool) -> Iterable[Problem]:
    state: State = "wrong" if asked else "warn"
    if counted > facts.gpus:
        yield Problem(
            state,
            f"Ray counts {counted:g} GPUs, and the machine shows {facts.gpus}",
            "start Ray there without --num-gpus, and the container with access to its GPUs",
        )
    if not facts.gpus:
        return
    if facts.torch_cuda is None:
        yield Problem(
            state,
            "GPUs, but torch was built without CUDA",
            "install torch from PyTorch's index for CUDA there",
        )
    elif facts.driver_cuda is None:
        yield Problem(
            state,
            f"GPUs, but no driver library (libcuda.so.1) for torch's CUDA {facts.torch_cuda}",
            "install NVIDIA's driver there, or its container toolkit",
        )
    elif _major(facts.driver_cuda) < _major(facts.torch_cuda):
        # Within one major version any driver will do: NVIDIA's minor version compatibility.
        yield Problem(
            state,
            f"the driver knows CUDA up to {facts.driver_cuda}, and torch was built for {facts.torch_cuda}",
            f"install a newer driver, or torch for CUDA {_major(facts.driver_cuda)}",
        )


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def judge_clocks(offsets: Mapping[str, tuple[float, float]]) -> list[Finding]:
    """Whether clocks agree.

    Args:
        offsets: of each node how far its clock is ahead of the driver's, and how far off that may be at most,
            seconds.
    """
    problems = []
    for node, (ahead, error) in offsets.items():
        certain = abs(ahead) - error
        if certain < CLOCK_WARN_S:
            continue
        problems.append(
            (
                node,
                Problem(
                    "wrong" if certain >= CLOCK_WRONG_S else "warn",
                    f"its clock is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}",
                    "let chrony or systemd-timesyncd set the clocks; object stores refuse requests, and leases fail",
                ),
            )
        )
    most = max((abs(ahead) + error for ahead, error in offsets.values()), default=0.0)
    return together("clocks", problems, f"within {max(most, 0.001):.2g} s of one another")


def clock_offset(sent: float, there: float, received: float) -> tuple[float, float]:
    """How far a clock is ahead, and how far off that may be at most, seconds: as NTP reads it from one exchange.

    Args:
        sent, received: on the own clock, before and after.
        there: on the other, at some time in between.
    """
    return there - (sent + received) / 2, (received - sent) / 2


def _files(nodes: Mapping[str, NodeFacts]) -> str:
    least = min((facts.open_files for facts in nodes.values()), default=0)
    return "any number" if least == sys.maxsize else str(least)


def _each(nodes: Sized) -> str:
    return f" or more on each of {len(nodes)} nodes" if len(nodes) > 1 else ""


def gigabytes(amount: float) -> str:
    return f"{amount / GB:.1f} GB" if amount >= GB / 10 else f"{amount / 1e6:.0f} MB"
