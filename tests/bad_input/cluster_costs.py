"""Cluster files, numbers of workers and runs, given to `compt plan --cluster`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray_compt.config.yaml_io import write_yaml
from tests.bad_input.place import Place
from tests.bad_input.row import Chapter, Row

GPUS = ("--set", "workers.gpus=1", "--set", "workers.max=4")


def _types(**types: Any) -> dict[str, Any]:
    head = {"node_config": {"InstanceType": "m5.xlarge"}, "resources": {"CPU": 0}}
    return {"head_node_type": "head", "available_node_types": {"head": head, **types}}


def _rented(instance: str, **more: Any) -> dict[str, Any]:
    return {"node_config": {"InstanceType": instance}, **more}


USUAL = _types(cpu=_rented("m5.4xlarge"), gpu=_rented("g6.12xlarge"))


def _file(at: Place, **content: Any) -> Path:
    return at.write("cluster.yaml", write_yaml({"provider": {"type": "aws"}, **content}))


def _plan(at: Place, cluster: Path | str, *options: str | Path) -> list[str | Path]:
    return ["plan", at.chain(), "--samples", "640", "--cluster", cluster, *options]


def _row(name: str, title: str, place: str, *says: str, options: tuple[str, ...] = (), **content: Any) -> Row:
    """`compt plan` with a cluster file of this content."""
    return Row(
        f"costs-{name}", title, lambda at: _plan(at, _file(at, **(content or USUAL)), *options), place, says
    )


def _stray(name: str, title: str, *options: str) -> Row:
    """An option about a cluster without one."""
    return Row(
        f"costs-{name}", title, lambda at: ["plan", at.chain(), *options], options[0], ("on which cluster?",)
    )


def _measured(at: Place) -> list[str | Path]:
    return _plan(at, _file(at, **USUAL), "--measured", at.run)


COSTS = Chapter(
    "Costs on a cluster",
    "`compt plan --cluster` reads a configuration of `ray up`.",
    (
        Row(
            "costs-file",
            "A cluster file that is not there",
            lambda at: _plan(at, "nowhere.yaml"),
            "nowhere.yaml",
            ("no such cluster file",),
        ),
        _row(
            "provider",
            "A provider without prices",
            "cluster.yaml:2",
            "no prices for the provider vsphere",
            provider={"type": "vsphere"},
        ),
        _row("types", "A cluster without node types", "cluster.yaml:1", "no node types", cluster_name="x"),
        _row(
            "head",
            "A head of a node type that is not there",
            "cluster.yaml:3",
            "the head's node type boss is not there",
            **{**USUAL, "head_node_type": "boss"},
        ),
        _row(
            "instance",
            "An instance type that the table does not have",
            "cluster.yaml:",
            "no instance type g6.12xlarg of aws",
            "did you mean g6.12xlarge?",
            **_types(gpu=_rented("g6.12xlarg")),
        ),
        _row(
            "gpus",
            "A chain that wants GPUs on a cluster without any",
            "cluster.yaml",
            "no node type has GPUs, and a worker of stage small wants 1",
            options=GPUS,
            **_types(cpu=_rented("m5.4xlarge")),
        ),
        _row(
            "cpus",
            "A worker that is larger than any node",
            "cluster.yaml:",
            "wants 0 GPUs and 64 CPUs; the largest node type, cpu, has 0 and 16",
            options=("--set", "workers.cpus=64"),
        ),
        _row(
            "precision",
            "GPUs without the precision",
            "train.precision",
            "a T4 does not compute in bf16",
            options=(*GPUS, "--set", "train.precision=bf16"),
            **_types(gpu=_rented("g4dn.12xlarge")),
        ),
        _row(
            "workers",
            "Workers that cannot share the batch",
            "--workers",
            "3 workers cannot share 4 lanes and a batch of 64 equally",
            options=("--workers", "3"),
        ),
        _row(
            "room",
            "More workers than the cluster may have nodes for",
            "cluster.yaml",
            "no room for 4 workers of stage small, only for 1",
            options=("--workers", "4", "--set", "workers.cpus=9"),
            max_workers=1,
            **USUAL,
        ),
        _row(
            "node-type",
            "A node type that is not there",
            "--node-type",
            "no node type tpu in cluster.yaml",
            options=("--node-type", "tpu"),
        ),
        Row(
            "costs-measured",
            "A measured run whose stages say nothing of their speed",
            _measured,
            "run",
            ("no stage of this run is finished, with its speed",),
        ),
        _stray("stray-workers", "A number of workers without a cluster", "--workers", "2"),
        _stray("stray-measured", "A measured run without a cluster", "--measured", "run"),
        _row(
            "stray-device",
            "The device of no run",
            "--measured-on",
            "the device of which run?",
            options=("--measured-on", "L4"),
        ),
    ),
)
