"""`compt plan --cluster`: hours and money on a cluster file, from tables and from a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.config import dump_chain, load_chain
from ray_compt.models import model_name
from ray_compt.storage import open_place

TYPES = """
  gpu:
    max_workers: 4
    node_config: {InstanceType: g6.12xlarge, InstanceMarketOptions: {MarketType: spot}}
  cpu:
    max_workers: 4
    node_config: {InstanceType: m5.4xlarge}
"""
SAMPLES = 320


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.yaml"
    head = "  head:\n    node_config: {InstanceType: m5.xlarge}\n    resources: {CPU: 0}\n"
    text = "provider: {type: aws}\nmax_workers: 8\nhead_node_type: head\navailable_node_types:\n"
    file.write_text(text + head + TYPES.lstrip("\n"))
    return file


@pytest.fixture
def own_machine(tmp_path: Path) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text("provider: {type: local}\navailable_node_types:\n  own:\n    resources: {CPU: 4}\n")
    return file


@pytest.fixture
def run(chain, chain_file, tmp_path: Path) -> Path:
    """A finished run of the chain: 0.5 s and 1 s for steps of its two models, of which all else took 7 s."""
    folder = tmp_path / "run"
    loaded = load_chain(chain_file(chain))
    entries = []
    for number, (stage, step_s) in enumerate(zip(loaded.stages, (0.5, 1.0)), start=1):
        place = f"0{number}-{stage.name}"
        (folder / place).mkdir(parents=True)
        (folder / place / "events.jsonl").write_text(
            '{"time": 1.0, "event": "started", "workers": 1, "step": 0}\n'
        )
        rate = stage.train.global_batch / step_s
        entry = StageEntry(stage.name, place, model_name(stage.model), 1, parameters=1000, state="done")
        entries.append(_trained(entry, rate))
    Ledger(open_place(folder / "ledger.json"), "run", entries, [], SAMPLES).save()
    (folder / "chain.yaml").write_text(dump_chain(loaded))
    return folder


def _trained(entry: StageEntry, rate: float) -> StageEntry:
    return replace(entry, steps=20, samples=SAMPLES, samples_per_second=rate, seconds=SAMPLES / rate + 7)


def _plan(compt: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    result = compt("plan", *arguments, "--samples", SAMPLES, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_people_read_hours_and_money(compt, chain, chain_file, cluster):
    result = compt("plan", chain_file(chain), "--samples", SAMPLES, "--cluster", cluster)
    assert result.exit_code == 0, result.stderr
    assert f"on {cluster}" in result.stdout
    assert "1 cpu" in result.stdout
    assert "The chain takes" in result.stdout and "order of magnitude" in result.stdout


def test_json_has_the_plan_and_the_cluster(compt, chain, chain_file, cluster):
    file = chain_file(chain)
    plain, found = _plan(compt, file), _plan(compt, file, "--cluster", cluster)
    assert "cluster" not in plain
    assert {**found, "cluster": None} == {**plain, "cluster": None}
    stages = found["cluster"]["stages"]
    assert [stage["name"] for stage in stages] == [stage["name"] for stage in plain["stages"]]
    assert found["cluster"]["dollars"] == pytest.approx(found["cluster"]["hours"] * (0.77 + 0.19))


def test_workers_and_node_types_are_as_asked(compt, chain, chain_file, cluster):
    gpus = ("--set", "workers.gpus=1", "--set", "workers.max=8")
    asked = _plan(
        compt, chain_file(chain), *gpus, "--cluster", cluster, "--workers", "2", "--node-type", "gpu"
    )
    stage = asked["cluster"]["stages"][0]
    assert (stage["workers"], stage["node_type"], stage["spot"], stage["device"]) == (2, "gpu", True, "L4")


def test_preemptions_cost_time(compt, chain, chain_file, cluster):
    arguments = (chain_file(chain), "--set", "workers.gpus=1", "--cluster", cluster, "--node-type", "gpu")
    never, often = (_plan(compt, *arguments, "--preemptions", rate)["cluster"] for rate in ("0", "2"))
    assert never["stages"][0]["stage"]["lost_hours"] == 0 < often["stages"][0]["stage"]["lost_hours"]


def test_a_run_is_predicted_by_itself(compt, chain, chain_file, own_machine, run):
    options = ("--cluster", own_machine, "--measured", run, "--workers", "1")
    found = _plan(compt, chain_file(chain), *options)["cluster"]
    for stage, seconds in zip(found["stages"], (4 * 20 * 0.5 + 7, 20 * 1.0 + 7)):
        assert 3600 * stage["stage"]["hours"] == pytest.approx(seconds, rel=0.05)
    assert f"measured in 2 stages of {run}" in found["stages"][0]["rate"]["source"]
    assert found["dollars"] == 0


def test_a_stage_whose_workers_changed_says_nothing(compt, chain, chain_file, own_machine, run):
    for events in run.glob("*/events.jsonl"):
        events.write_text(events.read_text() + '{"time": 2.0, "event": "started", "workers": 2, "step": 9}\n')
    result = compt(
        "plan", chain_file(chain), "--samples", SAMPLES, "--cluster", own_machine, "--measured", run
    )
    assert result.exit_code == 2
    assert "no stage of this run is finished" in result.stderr


@pytest.mark.parametrize(
    "options, says",
    [
        (["--workers", "2"], "--workers: on which cluster?"),
        (["--node-type", "gpu"], "--node-type: on which cluster?"),
        (["--measured", "RUN"], "--measured: on which cluster?"),
        (["--preemptions", "1"], "--preemptions: on which cluster?"),
        (["--cluster", "FILE", "--measured-on", "L4"], "--measured-on: the device of which run?"),
        (["--cluster", "FILE", "--workers", "3"], "--workers: 3 workers cannot share"),
        (["--cluster", "FILE", "--node-type", "tpu"], "--node-type: no node type tpu"),
        (["--cluster", "nowhere.yaml"], "nowhere.yaml: no such cluster file"),
        (["--cluster", "FILE", "--measured", "RUN", "--measured-on", "H10"], "no device H10"),
        (["--cluster", "FILE", "--measured", "RUN", "--measured-on", "L4"], "trained on CPUs, not on a L4"),
        (["--cluster", "FILE", "--measured", "nowhere"], "no ledger here"),
    ],
)
def test_mistakes_are_named(compt, chain, chain_file, cluster, run, options, says):
    given = [{"FILE": str(cluster), "RUN": str(run)}.get(option, option) for option in options]
    result = compt("plan", chain_file(chain), "--samples", SAMPLES, *given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr and "mend:" in result.stderr
