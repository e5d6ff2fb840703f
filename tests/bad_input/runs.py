"""Run folders, their ledgers, checkpoints and predecessors; clusters and their sizes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ray_compt.models import model_config
from ray_compt.train.checkpoint import Progress, write_checkpoint
from ray_compt.train.state import MOMENTS, EngineState
from tests.bad_input.place import CLUSTER, Place, model
from tests.bad_input.row import Chapter, Row
from tests.shards import make_shards

LEDGER, CHAIN = "run/ledger.json", "run/chain.yaml"
Spoil = Callable[[Place], object]


def _run(
    name: str, title: str, spoil: Spoil, place: str, *says: str, options: tuple[str, ...] = (), **more: Any
) -> Row:
    """`compt train` in a run whose first stage is done, after something happened to it."""

    def make(at: Place) -> list[str | Path]:
        spoil(at)
        return at.train(*options)

    return Row(f"run-{name}", title, make, place, says, **more)


def _ledger(name: str, title: str, content: str | bytes, *says: str) -> Row:
    return _run(name, title, lambda at: at.write(LEDGER, content), LEDGER, "the ledger cannot be read", *says)


def _entry(name: str, title: str, says: str, **changes: Any) -> Row:
    def spoil(at: Place) -> None:
        stored = json.loads((at.folder / LEDGER).read_text())
        stored["stages"][0] |= changes
        at.write(LEDGER, json.dumps(stored))

    return _run(name, title, spoil, LEDGER, says)


def _ledger_folder(at: Place) -> None:
    (at.folder / LEDGER).unlink()
    (at.folder / LEDGER).mkdir()


def _foreign_checkpoint(at: Place) -> None:
    """A whole checkpoint, but of another model."""
    folder = at.folder / "run/02-large/checkpoints/checkpoint_1"
    folder.mkdir(parents=True)
    moments = {key: {"weight": torch.zeros(2)} for key in MOMENTS}
    state = EngineState({"weight": torch.zeros(2)}, moments, updates=9, scaler={})
    write_checkpoint(folder, state, Progress(step=9), "the digest of another stage")


def _future_checkpoint(at: Place) -> None:
    header = {"format": 99, "stage": "", "updates": 0, "scaler": {}, "files": {}, "progress": {}}
    at.write("run/02-large/checkpoints/checkpoint_1/state.json", json.dumps(header))


def _foreign_cache(at: Place) -> list[str | Path]:
    """A feature cache under the very name that the stage looks for, but of something else."""
    from ray_compt.chain.features import cache_spec
    from ray_compt.chain.inputs import Inputs
    from ray_compt.config import load_chain
    from ray_compt.data import open_index
    from ray_compt.teacher import TeacherSpec
    from ray_compt.teacher.spec import weights_digest

    path = str(at.folder / "kept")
    arguments = at.train("--address", CLUSTER, teacher={"cache": path})
    chain = load_chain(at.folder / "chain.yaml")
    inputs = Inputs(chain, open_index(chain.data.train, chain.data, at.run), None)
    preprocess = inputs.preprocess(model(32))
    teacher = TeacherSpec(str(at.kept), weights_digest(str(at.kept)), preprocess.mean, preprocess.std)
    spec = cache_spec(chain, path, teacher, model_config(model(16), 8), preprocess, inputs.train.digest)
    at.write(f"kept/{spec.folder.name}/identity.json", "{}")
    return arguments


def _with_samples(at: Place) -> Path:
    """The run, as one that knows how many training samples it has."""
    at.edit(at.folder / LEDGER, {"training_samples": 1438})
    return at.run


def _report_too_early(at: Place) -> list[str | Path]:
    _with_samples(at)
    stages = json.loads((at.folder / LEDGER).read_text())["stages"]
    at.edit(at.folder / LEDGER, {"stages": [{**stage, "state": "running", "steps": 0} for stage in stages]})
    return ["report", at.run]


def _on_cluster(name: str, title: str, spoil: Spoil, place: str, *says: str) -> Row:
    return _run(name, title, spoil, place, *says, options=("--address", CLUSTER), ray=True)


RUNS = Chapter(
    "Run folders",
    "The finished stage of the run keeps every file, byte for byte, whatever is wrong around it.",
    (
        Row(
            "run-below-file",
            "A run folder below a file",
            lambda at: ["train", at.chain(), "--run-dir", at.write("file", "x") / "run"],
            "file/run",
            ("cannot be written",),
        ),
        Row(
            "run-long",
            "A run folder whose name is too long",
            lambda at: ["train", at.chain(), "--run-dir", at.folder / ("x" * 300)],
            "x" * 300,
            ("File name too long",),
        ),
        Row(
            "run-smoke",
            "A rehearsal below a file",
            lambda at: ["train", at.chain(), "--smoke", "--run-dir", at.write("file", "x") / "run"],
            "file/run-smoke",
            ("cannot be written",),
        ),
        _run(
            "seed",
            "Another seed than the finished stage's",
            lambda at: None,
            CHAIN,
            "seed: 0 -> 5",
            options=("--set", "seed=5"),
        ),
        _run(
            "epochs",
            "Other epochs for the finished stage",
            lambda at: None,
            CHAIN,
            "1.0 -> 5.0",
            options=("--set", "stages.0.epochs=5"),
        ),
        _ledger("ledger-cut", "A ledger that was cut off", '{"schema": 1, "stag'),
        _ledger("ledger-empty", "A ledger of no bytes", ""),
        _ledger("ledger-binary", "A ledger of binary junk", b"\xff\xfe\x00"),
        _ledger("ledger-list", "A ledger that is a list", "[]", "no object"),
        _ledger("ledger-deep", "A ledger nested 100,000 deep", "[" * 100_000),
        _ledger("ledger-schema", "A ledger of another version", '{"schema": 99}', "schema 99 is not 1"),
        _run("ledger-folder", "A folder in place of the ledger", _ledger_folder, LEDGER, "cannot be read"),
        _entry("ledger-field", "A stage with an unknown field", "'mood'", mood="good"),
        _entry("ledger-state", "A stage in an unknown state", "0.state", state="asleep"),
        _entry("ledger-type", "A stage whose seconds are a text", "0.seconds", seconds="many"),
        _entry(
            "ledger-outside", "A stage outside the run folder", "../../etc is not inside", folder="../../etc"
        ),
        _run(
            "chain-cut",
            "The run's chain file, damaged",
            lambda at: at.write(CHAIN, "name: x\ndata: ["),
            f"{CHAIN}:2",
            "malformed YAML",
        ),
        _run(
            "chain-gone",
            "The run's chain file, removed",
            lambda at: os.remove(at.folder / CHAIN),
            CHAIN,
            "no such chain file",
        ),
        _on_cluster(
            "model-gone",
            "The predecessor's stage, removed",
            lambda at: shutil.rmtree(at.kept),
            "run/01-small",
            "predecessor's model is missing",
        ),
        _on_cluster(
            "model-cut",
            "The predecessor's weights, cut off",
            lambda at: os.truncate(at.kept / "model.safetensors", 999),
            "run/01-small/model.safetensors",
            "damaged",
        ),
        _run(
            "moments-gone",
            "Moments to carry, but no checkpoint of the predecessor",
            lambda at: None,
            "run/01-small/checkpoints",
            "checkpoint of its last step, 22, is missing",
            options=("--address", CLUSTER, "--set", "stages.1.transfer.optimizer=carry"),
            ray=True,
        ),
        _on_cluster(
            "checkpoint-foreign",
            "A checkpoint of another model",
            _foreign_checkpoint,
            "run/02-large/checkpoints/checkpoint_1",
            "another model",
        ),
        _on_cluster(
            "checkpoint-future",
            "A checkpoint of another version",
            _future_checkpoint,
            "run/02-large/checkpoints/checkpoint_1",
            "format 99 is not 1",
        ),
        Row(
            "cache-file",
            "A feature cache that is a file",
            lambda at: at.train("--address", CLUSTER, teacher={"cache": str(at.write("file", "x"))}),
            "stage large",
            ("is a file",),
            ray=True,
        ),
        Row(
            "cache-large",
            "A feature cache above its limit",
            lambda at: at.train(
                "--address", CLUSTER, teacher={"cache": str(at.folder / "kept"), "cache_limit_gb": 1e-6}
            ),
            "stage large",
            ("teacher.cache_limit_gb 1e-06",),
            ray=True,
        ),
        Row(
            "cache-foreign",
            "A feature cache that was tampered with",
            _foreign_cache,
            "kept/features-",
            ("another teacher",),
            ray=True,
            varies={"features-[0-9a-f]{32}": "features-..."},
        ),
        Row(
            "verify-nothing",
            "Verifying a folder that is no run",
            lambda at: ["verify", at.model()],
            "model/ledger.json",
            ("no ledger here",),
        ),
        Row(
            "verify-damaged",
            "Verifying a run whose ledger is damaged",
            lambda at: ["verify", at.write(LEDGER, "{").parent],
            LEDGER,
            ("the ledger cannot be read",),
        ),
        Row(
            "report-nothing",
            "A report on a folder that is no run",
            lambda at: ["report", _with_samples(at), "--no-examples", at.model()],
            "model/ledger.json",
            ("no ledger here",),
        ),
        Row(
            "report-early",
            "A report on a run without a finished stage",
            _report_too_early,
            "run",
            ("no stage of this run is done yet",),
        ),
        Row(
            "report-out",
            "A report to a place below a file",
            lambda at: [
                "report",
                _with_samples(at),
                "--no-examples",
                "--out",
                at.write("file", "x") / "a.html",
            ],
            "file/a.html",
            ("cannot be written", "--out FILE"),
        ),
    ),
)


def _data(
    name: str, title: str, shards: Callable[[Place], str | Path], place: str, *says: str, **data: Any
) -> Row:
    return Row(f"data-{name}", title, lambda at: at.train_on(shards(at), **data), place, says, ray=True)


DATA = Chapter(
    "Training data",
    "What `compt train` says once Ray runs; all of [Finding shards](#finding-shards) and what follows it holds too.",
    (
        _data("none", "No shards", lambda at: at.folder / "*.tar", "data", "no shard matches"),
        _data(
            "captions",
            "No captions",
            lambda at: make_shards(at.folder / "s", 1, captions=0)[0],
            "s/00000.tar",
            "has a caption",
        ),
        _data(
            "empty",
            "An empty archive",
            lambda at: at.write("a.tar", bytes(10_240)),
            "a.tar",
            "empty shard",
        ),
        _data(
            "few",
            "Less data than one batch",
            lambda at: make_shards(at.folder / "s", 1, per_shard=8)[0],
            "train.global_batch",
            "8 training samples",
        ),
        _data(
            "bad",
            "More bad samples than allowed",
            lambda at: make_shards(
                at.folder / "s", 1, per_shard=100, broken={f"{i:09d}": "empty" for i in range(9)}
            )[0],
            "data.train",
            "9 of 100 training samples",
        ),
    ),
)


def _workers(name: str, title: str, workers: dict[str, Any], place: str, *says: str, **more: Any) -> Row:
    def make(at: Place) -> list[str | Path]:
        changes = {"data": {"lanes": 64}, "workers": workers}
        at.finish_a_stage(**changes)
        return at.train(*(("--address", CLUSTER) if more.get("ray") else ()), **changes)

    return Row(f"cluster-{name}", title, make, place, says, **more)


def _address(name: str, title: str, address: str, place: str, *says: str) -> Row:
    return Row(f"cluster-{name}", title, lambda at: at.train("--address", address), place, says)


CLUSTERS = Chapter(
    "Clusters",
    "Nothing waits for a node that cannot come: what a chain needs is compared with what there is, first.",
    (
        _address(
            "refused",
            "No cluster at the address",
            "127.0.0.1:9",
            "address 127.0.0.1:9",
            "no Ray cluster answers",
        ),
        _address("port", "A port that does not exist", "127.0.0.1:99999999", "--address", "is no address"),
        _address(
            "dashboard",
            "The dashboard's URL",
            "http://127.0.0.1:8265",
            "--address",
            "to which jobs are sent",
        ),
        _address("word", "A word for an address", "head-node", "--address", "'head-node' is no address"),
        _workers(
            "cpus",
            "More workers than CPUs on this machine",
            {"min": 64},
            "workers.min",
            "this machine has",
            varies={
                r"this machine has \d+": "this machine has N",
                r"workers\.min to \d+": "workers.min to N",
            },
        ),
        _workers(
            "small",
            "More workers than the cluster can hold",
            {"min": 64},
            "Ray cluster",
            "need 96 CPUs",
            ray=True,
        ),
        _workers(
            "gpus",
            "GPUs that the cluster does not have",
            {"gpus": 1},
            "Ray cluster",
            "1 GPUs (it has 0)",
            ray=True,
        ),
    ),
)
