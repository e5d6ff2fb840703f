"""Machines against what training wants of them."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.doctor import judge_machine as judge
from tests.doctor.facts import GB, healthy


def test_docker_gives_too_little_shared_memory_and_the_mend_says_how_to_get_more():
    small = healthy(shared_memory=64_000_000)
    (found,) = judge.judge_shared_memory({"a": (healthy(), 20 * GB), "b": (small, 20 * GB)})
    assert (found.state, found.nodes) == ("warn", ("b",))
    assert found.found.startswith("/dev/shm holds 64 MB, and Ray's object store wants 20.0 GB")
    assert found.mend and "--shm-size" in found.mend


def test_no_shared_memory_at_all_is_seen():
    (found,) = judge.judge_shared_memory({"a": (healthy(shared_memory=None), 0)})
    assert found.state == "warn" and "holds 0 MB" in found.found


def test_enough_shared_memory_is_well():
    (found,) = judge.judge_shared_memory({"a": (healthy(), 20 * GB), "b": (healthy(), 64 * GB)})
    assert (found.state, found.found) == ("ok", "/dev/shm holds 64.0 GB or more on each of 2 nodes")


@pytest.mark.parametrize("free, state", [(400 * GB, "ok"), (26 * GB, "ok"), (24 * GB, "wrong"), (0, "wrong")])
def test_ray_writes_nothing_to_a_disk_that_is_nearly_full(free: int, state: str):
    assert judge.judge_temp({"a": healthy(temp_bytes=500 * GB, temp_free=free)})[0].state == state


def test_a_small_disk_with_little_room_is_to_think_about():
    (found,) = judge.judge_temp({"a": healthy(temp_bytes=20 * GB, temp_free=4 * GB)})
    assert (found.state, found.found) == ("warn", "4.0 GB free in /tmp")


def test_the_run_folder_needs_room_for_the_checkpoints():
    (short,) = judge.judge_disk("/runs", 10 * GB, 11 * GB)
    assert (short.state, short.found) == ("wrong", "10.0 GB free at /runs; the run takes about 11.0 GB")
    assert judge.judge_disk("/runs", 10 * GB, 9 * GB)[0].state == "ok"
    assert judge.judge_disk("s3://bucket/run", None, 11 * GB)[0].state == "ok"


def test_few_open_files_are_to_think_about():
    found = judge.judge_open_files({"a": healthy(open_files=1024), "b": healthy()})
    assert [(one.state, one.nodes) for one in found] == [("warn", ("a",))]
    assert "any number" in judge.judge_open_files({"a": healthy(open_files=sys.maxsize)})[0].found


@pytest.mark.parametrize(
    "spoilt, counted, says",
    [
        ({"torch_cuda": None}, 8, "without CUDA"),
        ({"driver_cuda": None}, 8, "no driver library"),
        ({"driver_cuda": "11.8"}, 8, "CUDA up to 11.8, and torch was built for 12.8"),
        ({"gpus": 4}, 8, "Ray counts 8 GPUs, and the machine shows 4"),
    ],
)
def test_gpus_that_torch_cannot_use_are_wrong_where_they_are_asked_for(spoilt, counted, says):
    nodes = {"a": (healthy(), 8.0), "b": (healthy(**spoilt), float(counted))}
    (found,) = judge.judge_gpus(nodes, asked=True)
    assert (found.state, found.nodes) == ("wrong", ("b",))
    assert says in found.found
    assert judge.judge_gpus(nodes, asked=False)[0].state == "warn"


@pytest.mark.parametrize("driver, torch", [("12.4", "12.8"), ("12.8", "12.4"), ("13.0", "12.8")])
def test_drivers_of_the_same_or_a_later_major_version_will_do(driver: str, torch: str):
    (found,) = judge.judge_gpus({"a": (healthy(driver_cuda=driver, torch_cuda=torch), 8)}, asked=True)
    assert (found.state, found.found) == ("ok", f"8; driver for CUDA {driver}, torch for {torch}")


def test_a_machine_without_gpus_says_so():
    (found,) = judge.judge_gpus({"a": (healthy(gpus=0, driver_cuda=None), 0)}, asked=False)
    assert (found.state, found.found) == ("ok", "none")


@pytest.mark.parametrize(
    "ahead, error, state",
    [(0.2, 0.01, "ok"), (-7, 0.5, "warn"), (7, 3, "ok"), (90, 1, "wrong"), (-90, 1, "wrong")],
)
def test_clocks_count_as_apart_where_that_is_certain(ahead: float, error: float, state: str):
    (found,) = judge.judge_clocks({"a": (ahead, error)})
    assert found.state == state
    if state != "ok":
        assert found.found.endswith("ahead" if ahead > 0 else "behind")


@given(st.floats(-1e6, 1e6), st.floats(0, 100), st.floats(0, 100), st.floats(1.6e9, 1.9e9))
def test_the_true_offset_lies_within_the_error(offset: float, there_s: float, back_s: float, sent: float):
    found, error = judge.clock_offset(sent, sent + there_s + offset, sent + there_s + back_s)
    assert abs(found - offset) <= error + 1e-5
