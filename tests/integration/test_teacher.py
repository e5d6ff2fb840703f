"""The teacher as a service on a real Ray: shared, watched, repaired, and gone when nobody holds it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import torch

from ray_compt.errors import TrainingError, UserError
from ray_compt.teacher import TeacherSpec, directory
from ray_compt.teacher.autoscale import Bounds
from ray_compt.teacher.clients import InlineTeacher, ServedTeacher
from ray_compt.teacher.holding import gets_a_place, serving
from ray_compt.teacher.lessons import Features, lessons
from ray_compt.teacher.pool import Place
from ray_compt.teacher.service import ServiceConfig
from tests.faults.harness import small_cluster, wait_for
from tests.integration.harness import command, environment, hear_interrupts
from tests.teacher.models import make_batches, make_teacher

ANSWER_S, SOON_S = 120, 60
COUNT = 12


@pytest.fixture
def spec(shared_ray: str, tmp_path: Path) -> Iterator[TeacherSpec]:
    """A teacher of this test's own, of which nothing is left when it has ended."""
    yield replace(make_teacher(tmp_path), weights=str(tmp_path))
    wait_for("the end of every service", lambda: not directory.names(), timeout=SOON_S)
    wait_for("the end of their processes", lambda: not _processes("ray::Teacher"), timeout=SOON_S)


def _config(**changes: Any) -> ServiceConfig:
    return ServiceConfig(
        **{"place": Place(1, 0), "replicas": Bounds(1, 1), "ttl_s": 30.0, "hang_s": 60.0, **changes}
    )


def _wanted(spec: TeacherSpec) -> list[Features]:
    inline = InlineTeacher(spec, "cpu")
    return [inline.result(batch) for batch in make_batches(COUNT)]


def _assert_same_bits(found: list[Features], wanted: list[Features]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other))


def _asked(client: ServedTeacher, during: Callable[[int], None] = lambda step: None) -> list[Features]:
    found = []
    for lesson in lessons(make_batches(COUNT), [client], last_step=COUNT, ahead=2):
        assert lesson.features is not None
        found += lesson.features
        during(lesson.batch.step)
    return found


def _processes(title: str) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        # One that has just ended has no command line.
        with suppress(psutil.Error):
            found += [child] if " ".join(child.cmdline()).startswith(title) else []
    return found


def test_two_holders_share_a_service_whose_replicas_may_die(spec: TeacherSpec) -> None:
    """Killed: a replica, then the service itself with all of them; the bits are those of a model in the process."""
    wanted = _wanted(spec)

    def kill(title: str, at: int) -> Callable[[int], None]:
        def during(step: int) -> None:
            if step == at:
                os.kill(_processes(title)[0].pid, signal.SIGKILL)

        return during

    with serving(spec, _config(), "one"), serving(spec, _config(), "two"):
        assert gets_a_place(spec, Place(1, 0))
        client = ServedTeacher(spec.name, ANSWER_S)
        _assert_same_bits(_asked(client, kill("ray::TeacherReplica", 2)), wanted)
        _assert_same_bits(_asked(client, kill("ray::TeacherService", 5)), wanted)
        _assert_same_bits(_asked(ServedTeacher(spec.name, ANSWER_S, turn=1)), wanted)
        holders = wait_for(
            "two leases",
            lambda: len(found := directory.state(spec.name).leases) == 2 and found,
            timeout=SOON_S,
        )
        assert {holder.split()[0] for holder in holders} == {"one", "two"}
        assert len(directory.names()) == 1


def test_a_replica_that_hangs_is_started_again(spec: TeacherSpec) -> None:
    wanted = _wanted(spec)

    def hang(step: int) -> None:
        if step == 1:
            wait_for("features", lambda: directory.state(spec.name).served, timeout=SOON_S)
            _processes("ray::TeacherReplica")[0].suspend()

    with serving(spec, _config(hang_s=3.0), "hangs"):
        _assert_same_bits(_asked(ServedTeacher(spec.name, ANSWER_S), hang), wanted)
        assert directory.state(spec.name).restarts >= 1


def test_a_service_ends_with_its_last_lease(spec: TeacherSpec) -> None:
    """The lease of a holder that died runs out."""
    service = directory.start_or_find(spec, _config(ttl_s=2.0))
    ray.get(service.lease.remote("dead", 4.0), timeout=ANSWER_S)
    time.sleep(2.5)
    assert directory.names() == [spec.name]
    wait_for("the end of every service", lambda: not directory.names(), timeout=SOON_S)


def test_replicas_follow_the_queue(spec: TeacherSpec) -> None:
    """A crowd brings a second one, which computes the same bits."""
    wanted = _wanted(spec)
    with serving(spec, _config(replicas=Bounds(1, 2)), "crowd"):
        client = ServedTeacher(spec.name, ANSWER_S)
        [big] = make_batches(1, rows=512)
        waiting = [client.request(big) for _ in range(3)]

        def crowded() -> bool:
            waiting.extend(client.request(big) for _ in range(2))
            client.result(waiting.pop(0))
            return directory.state(spec.name).replicas == 2

        wait_for("a second replica", crowded, timeout=120)
        for request in waiting:
            client.result(request)
        second = directory.find(spec.name).replicas
        wait_for(
            "its place",
            lambda: all(node for _, node in ray.get(second.remote(), timeout=ANSWER_S)),
            timeout=SOON_S,
        )
        _assert_same_bits(_asked(client), wanted)


def test_without_room_there_is_no_place(spec: TeacherSpec) -> None:
    with serving(spec, _config(place=Place(100, 0)), "giant"):
        assert not gets_a_place(spec, Place(100, 0), seconds=2)


def test_who_gets_no_answer_is_told_what_to_do(spec: TeacherSpec) -> None:
    client = ServedTeacher(spec.name, timeout_s=2)
    with pytest.raises(TrainingError, match="has not answered for 2 s"):
        client.result(client.request(make_batches(1)[0]))


def test_a_model_that_cannot_be_loaded_is_the_users_error(spec: TeacherSpec) -> None:
    (Path(spec.folder) / "model.safetensors").write_bytes(b"no model")
    with serving(spec, _config(), "broken"):
        client = ServedTeacher(spec.name, ANSWER_S)
        with pytest.raises(UserError, match="damaged or unreadable"):
            client.result(client.request(make_batches(1)[0]))


def test_the_commands_serve_show_and_stop(tmp_path: Path) -> None:
    spec = make_teacher(tmp_path)
    with small_cluster(2) as cluster:

        def compt(*words: str | Path) -> subprocess.Popen[str]:
            return subprocess.Popen(
                command("teacher", *words, "--address", cluster.cluster.address),
                env=environment(cluster.folder),
                stdout=subprocess.PIPE,
                text=True,
                preexec_fn=hear_interrupts,
            )

        def printed(*words: str) -> str:
            return compt(*words).communicate(timeout=ANSWER_S)[0]

        holder = compt("serve", tmp_path, "--rows", "4")
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline().startswith(f"{spec.name} serves")
            [shown] = json.loads(printed("ls", "--json"))
            assert (shown["name"], shown["replicas"]) == (spec.name, 1)
            assert [lease.startswith("compt teacher serve") for lease in shown["leases"]] == [True]
            assert printed("stop", spec.name) == f"stopped {spec.name}\n"
            holder.send_signal(signal.SIGINT)
            assert holder.wait(ANSWER_S) == 0
        finally:
            holder.kill()
        assert printed("ls") == "no teacher serves on this cluster\n"
