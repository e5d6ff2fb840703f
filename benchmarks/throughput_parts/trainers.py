"""The contenders: each trains the same setting once, in processes of its own, and says how fast it was."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.throughput_parts.process import Finished, Pins, run
from benchmarks.throughput_parts.setting import Setting
from tests.integration.harness import command, environment, ray_folder

# The peer logs every so many steps.
LOG_EVERY = 2
_LOGGED = re.compile(r"Train Epoch: 0 \[\s*(\d+)/")


@dataclass(frozen=True)
class Run:
    """One run of a contender.

    Attributes:
        rate: samples a second, start and leading steps left out.
        first_step: seconds from the command to the end of the first step.
        peak: peak resident memory of one training process, bytes.
    """

    rate: float
    first_step: float
    peak: int


@dataclass(frozen=True)
class Ground:
    """Where all contenders run.

    Attributes:
        setting: what they train.
        folder: for what they write.
        shards: what they read.
        cores: on which they run.
    """

    setting: Setting
    folder: Path
    shards: tuple[Path, ...]
    cores: frozenset[int]

    @property
    def steps_an_epoch(self) -> int:
        return self.setting.samples // self.setting.batch

    def config(self) -> Path:
        """The model as a file, named as the peers are to know it."""
        path = self.folder / "models" / "contender.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self.setting.model))
        return path


def ours(ground: Ground, name: str, workers: int) -> Run:
    """`compt train` of one stage."""
    cpus = 1 if ground.setting.gpu else max(1, len(ground.cores) // workers)
    chain = {
        "workers": {"min": workers, "max": workers, "cpus": cpus, "gpus": int(ground.setting.gpu)},
        "stages": [
            {
                "model": ground.setting.model,
                "epochs": ground.setting.steps / ground.steps_an_epoch,
                "name": "one",
            }
        ],
    }
    folder, finished = train(ground, name, chain)
    running = _events(folder / "01-one", "running")[0]["time"]
    return Run(
        stage_rate(ground.setting, folder / "01-one"),
        running - finished.began,
        finished.peak("ray::RayTrainWorker"),
    )


def train(
    ground: Ground, name: str, chain: dict[str, Any], pins: Pins | None = None
) -> tuple[Path, Finished]:
    """Run `compt train` on a chain whose data and training are the setting's; returns the run folder too."""
    setting = ground.setting
    shared = {
        "name": name,
        "data": {
            "train": [str(path) for path in ground.shards],
            "image_size": setting.image_size,
            "lanes": 4,
            "window_batches": 4,
        },
        "train": {
            "global_batch": setting.batch,
            "lr": 1e-3,
            "warmup_steps": 5,
            "checkpoint_every": 100_000,
            "precision": "bf16" if setting.gpu else "fp32",
            "compile": setting.compiled,
        },
    }
    file = ground.folder / f"{name}.yaml"
    file.write_text(json.dumps({**shared, **chain}))  # JSON is YAML.
    folder = ground.folder / name
    with ray_folder() as ray:
        variables = environment(ray)
        # Ray gives each worker as many threads as it has CPUs.
        variables.pop("OMP_NUM_THREADS", None)
        finished = run(command("train", file, "--run-dir", folder), variables, cores=ground.cores, pins=pins)
    return folder, finished


def stage_rate(setting: Setting, stage: Path) -> float:
    """Samples a second of a stage's steps after the skipped ones."""
    lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    times = [
        line["step_ms"]
        for line in lines
        if line.get("step_ms") is not None and line["step"] > setting.skipped
    ]
    return 1000 * setting.batch * len(times) / sum(times)


def open_clip_train(ground: Ground, name: str) -> Run:
    """open_clip's own trainer: one process with all threads and one that reads, beside a GPU many that read."""
    setting = ground.setting
    config = ground.config()
    arguments = {
        "--model": config.stem,
        "--dataset-type": "webdataset",
        "--train-data": "::".join(map(str, ground.shards)),
        "--train-num-samples": setting.steps * setting.batch,
        "--batch-size": setting.batch,
        "--workers": max(1, len(ground.cores) - 2) if setting.gpu else 1,
        "--epochs": 1,
        "--device": "cuda" if setting.gpu else "cpu",
        "--precision": "amp_bf16" if setting.gpu else "fp32",
        "--lr": 1e-3,
        "--wd": 0.1,
        "--beta1": 0.9,
        "--beta2": 0.98,
        "--eps": 1e-6,
        "--warmup": 5,
        "--log-every-n-steps": LOG_EVERY,
        "--logs": ground.folder / "open_clip",
        "--name": name,
    }
    words = [str(word) for pair in arguments.items() for word in pair] + ["--torchcompile"] * setting.compiled
    program = [sys.executable, "-m", "benchmarks.peers.open_clip_train", str(config.parent), *words]
    finished = run(program, _threads(ground), cores=ground.cores)
    logged = [
        (when, int(found[1])) for when, line in finished.lines if (found := _LOGGED.search(line)) is not None
    ]
    counted = [one for one in logged if one[1] > setting.skipped * setting.batch]
    rate = (counted[-1][1] - counted[0][1]) / (counted[-1][0] - counted[0][0])
    return Run(rate, logged[0][0] - finished.began, finished.peak(sys.executable))


def bare_loop(ground: Ground) -> Run:
    """The same model in a plain loop over one batch that is there already."""
    setting = ground.setting
    program = [sys.executable, "-m", "benchmarks.peers.bare_loop", str(ground.config())]
    program += [str(number) for number in (setting.batch, setting.steps, setting.skipped)]
    program += ["--gpu"] * setting.gpu + ["--compile"] * setting.compiled
    finished = run(program, _threads(ground), cores=ground.cores)
    return Run(float(finished.lines[-1][1]), 0.0, finished.peak(sys.executable))


def _threads(ground: Ground) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(len(ground.cores)), "PYTHONUNBUFFERED": "1"}


def _events(stage: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (stage / "events.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == kind]
