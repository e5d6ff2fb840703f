"""`compt submit` and `compt status` against a real job server with a token."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.harness import command, ledger, tiny_chain, tiny_model
from tests.integration.head import running_head


def test_a_chain_is_submitted_followed_and_looked_at(tmp_path: Path) -> None:
    stages = [{"model": tiny_model(16), "epochs": 0.5, "name": "small"}]
    chain, run = tiny_chain(tmp_path, stages=stages), tmp_path / "run"
    with running_head(6) as head:
        refused = head.run(*command("status", "raysubmit_1"), RAY_AUTH_TOKEN="0" * 32)
        assert (refused.returncode, "does not take this token" in refused.stderr) == (2, True), refused.stderr
        done = head.compt("submit", chain, "--run-dir", run, "--set", "seed=3")
        assert done.returncode == 0, done.stdout + done.stderr
        job = done.stdout.split()[1]
        by_job = head.status(job)
        assert (by_job["status"], by_job["exit_code"], by_job["run"]) == ("SUCCEEDED", 0, str(run))
        assert by_job["status_of_run"]["state"] == "done"
    assert ledger(run)["stages"][0]["state"] == "done"
    assert "seed: 3" in (run / "chain.yaml").read_text()
    assert "stage 1/1 small" in done.stdout and "\r" not in done.stdout and "\x1b" not in done.stdout
    assert json.loads((run / "environment.json").read_text())["starts"][0]["command"].startswith(
        "compt train"
    )
