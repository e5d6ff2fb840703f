"""The parts of `benchmarks.throughput` that need neither Ray nor a peer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.peers.bare_loop import rate
from benchmarks.throughput_parts.process import run
from benchmarks.throughput_parts.setting import QUICK
from benchmarks.throughput_parts.shards import CAPTIONS, make_shards
from benchmarks.throughput_parts.spread import ratio
from benchmarks.throughput_parts.trainers import stage_rate
from ray_compt.config.schema import DataConfig
from ray_compt.data import open_index
from tests.train.tiny import MODEL


def test_runs_that_took_turns_are_compared_with_the_one_beside_them():
    found = ratio([10.0, 30.0, 8.0], [10.0, 10.0, 16.0])

    assert found.runs == (1.0, 3.0, 0.5)
    assert (found.min, found.median, found.max) == (0.5, 1.0, 3.0)


def test_made_shards_are_whole_and_the_same_each_time(tmp_path: Path):
    paths, again = (make_shards(tmp_path / name, shards=2, samples=6, side=32) for name in ("a", "b"))
    names = [str(path) for path in paths]
    index = open_index(names, DataConfig(train=names), str(tmp_path / "index"))

    assert [shard.samples for shard in index.shards] == [3, 3]
    assert not index.bad_samples
    assert len(next(iter(index.source.read(index.shards[0], 0, 1))).captions) == CAPTIONS
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_a_stage_is_timed_from_its_steps_after_the_skipped_ones(tmp_path: Path):
    times = [None, *[10_000.0] * (QUICK.skipped - 1), 100.0, 300.0]
    lines = [{"step": step, "step_ms": time} for step, time in enumerate(times, 1)]
    lines.append({"step": len(times), "evaluation": {}})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert stage_rate(QUICK, tmp_path) == pytest.approx(QUICK.batch * 2 / 0.4)


def test_the_bare_loop_trains():
    assert rate(MODEL, batch=2, steps=2, skipped=1) > 0


def test_a_contender_is_watched_and_its_failure_is_said():
    program = "print(1, flush=True); import time; time.sleep(0.5); x = bytes(50 << 20)"
    finished = run([sys.executable, "-c", program], {}, cores=frozenset({0}))

    assert finished.lines[0][1] == "1"
    assert finished.peak(sys.executable) > 0
    with pytest.raises(RuntimeError, match="no such luck"):
        run([sys.executable, "-c", "raise SystemExit('no such luck')"], {}, cores=frozenset({0}))
