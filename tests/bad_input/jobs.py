"""Submitting to a cluster, and asking how far something is."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bad_input.place import Place
from tests.bad_input.row import Chapter, Row

# A port on which nobody answers.
NOBODY = "http://127.0.0.1:9"


def _absolute_base(at: Place) -> list[str | Path]:
    sweep = {
        "name": "s",
        "chain": str(at.chain()),
        "space": {"train.lr": {"choice": [1e-3, 2e-3]}},
        "objective": {"metric": "zero_shot_top1"},
    }
    return ["submit", at.write("sweep.yaml", json.dumps(sweep)), "--address", NOBODY]


JOBS = Chapter(
    "Jobs",
    "`compt submit` finds here what the job would find minutes later on the cluster, and sends nothing where something "
    "is wrong.",
    (
        Row(
            "job-relative",
            "Shards by a relative path",
            lambda at: ["submit", at.chain(data={"train": "shards/*.tar"}), "--address", NOBODY],
            "chain.yaml:",
            ("data.train", "shards/*.tar is relative"),
        ),
        Row(
            "job-base",
            "A sweep whose base chain is named by an absolute path",
            _absolute_base,
            "sweep.yaml:1",
            ("relative to the sweep file",),
        ),
        Row(
            "job-variable",
            "An environment variable that is not set",
            lambda at: ["submit", at.chain(), "--env", "NOT_SET_ANYWHERE", "--address", NOBODY],
            "--env NOT_SET_ANYWHERE",
            ("is not set here",),
        ),
        Row(
            "job-address",
            "An address without a port",
            lambda at: ["submit", at.chain(), "--address", "head"],
            "--address",
            ("'head' is no address",),
        ),
        Row(
            "job-nobody",
            "An address where nobody answers",
            lambda at: ["submit", at.chain(), "--address", NOBODY],
            f"address {NOBODY}",
            ("no job server answers",),
        ),
        Row(
            "status-nothing",
            "The status of a folder that is not there",
            lambda at: ["status", at.folder / "nothing"],
            "nothing",
            ("no such folder",),
        ),
        Row(
            "status-no-run",
            "The status of a folder that is no run",
            lambda at: ["status", at.model()],
            "model/ledger.json",
            ("no ledger here",),
        ),
        Row(
            "status-damaged",
            "The status of a run whose ledger is damaged",
            lambda at: ["status", at.write("run/ledger.json", '{"schema": 1').parent],
            "run/ledger.json",
            ("the ledger cannot be read",),
        ),
    ),
)
