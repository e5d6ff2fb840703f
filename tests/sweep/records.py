"""Records of sweeps, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import StageRecord, SweepRecord, TrialRecord

METRIC = "image_to_text_r1"
ATTACK = "<script>window.attacked=true</script><img src=x onerror=window.attacked=true>&lt;b>\"'"


def stage(name: str, key: str = "", **given: Any) -> StageRecord:
    return StageRecord(name, f"ViT-{name}-16", key, 2.0, **given)


def done(name: str, key: str, metric: float, macs: int, **given: Any) -> StageRecord:
    return stage(
        name, key, state="done", metrics={METRIC: metric}, macs=macs, steps=10, seconds=macs / 100, **given
    )


def trial(number: int, metric: float = 0.5, macs: int = 1000, **given: Any) -> TrialRecord:
    """A trial of one stage that is done, of a candidate of its own."""
    standing: dict[str, Any] = {
        "number": number,
        "candidate": number,
        "seed": 0,
        "chain": ("S",),
        "values": {},
        "state": "done",
        "stages": (done("S", f"key-{number}", metric, macs),),
        "run": f"trials/{number}",
    }
    return TrialRecord(**{**standing, **given})


def sweep(*trials: TrialRecord, **given: Any) -> SweepRecord:
    standing: dict[str, Any] = {
        "name": "digits_quick",
        "text": "name: digits_quick\n",
        "objective": Objective(METRIC),
        "started": "2026-01-02T03:04:05+00:00",
        "versions": {"ray_compt": "9.9", "torch": "2.11"},
        "command": "compt tune digits_quick",
    }
    return SweepRecord(**{**standing, **given}, trials=trials)


def eventful(attack: str = "") -> SweepRecord:
    """A sweep with all that a page shows: shared stages, two seeds, pruned, failed and open trials.

    Args:
        attack: text that stands wherever a stranger's may.
    """
    trials = []
    growths = ("lossless", f"embed{attack}", "random")
    for number in range(20):
        candidate, seed = divmod(number, 2)
        lr = 1e-4 * 10 ** (candidate / 5)
        long = candidate % 2
        small = done("T", f"t{seed}", 0.3 + 0.01 * seed, 1000, reused=number > 3)
        large = done("S", f"s{number}", 0.5 + 0.02 * candidate + 0.01 * seed, 2000 + 500 * candidate)
        alone = done("S", f"alone{number}", 0.4 + 0.02 * candidate + 0.01 * seed, 6000 + 100 * candidate)
        trials.append(
            trial(
                number,
                candidate=candidate,
                seed=seed,
                chain=("T", "S") if long else ("S",),
                values={"train.lr": lr, "transfer.growth": growths[candidate % 3], "stages.*.epochs": 2},
                stages=(small, large) if long else (alone,),
            )
        )
    cut = (done("T", "t0", 0.3, 1000, reused=True), stage("S", "cut", state="pruned", macs=300, steps=2))
    trials += [
        trial(20, state="pruned", chain=("T", "S"), stages=cut),
        trial(21, state="failed", stages=(), error=f"the disk is full{attack}"),
        trial(22, state="running", stages=(stage("S", "run", state="running", macs=50),)),
        trial(23, state="pending", stages=()),
    ]
    found = sweep(*trials, objective=Objective(METRIC, cost="macs"))
    return replace(
        found, name=f"eventful{attack}", text=f"name: eventful {attack}\n", command=f"compt tune {attack}"
    )
