"""The whole program on bad input, with a Ray of its own; every other mistake is a row of tests/bad_input."""

from __future__ import annotations

from pathlib import Path

from tests.integration.harness import compt, tiny_chain, tiny_model
from tests.shards import make_shards


def test_nothing_but_one_message_reaches_the_terminal(tmp_path: Path) -> None:
    """Captions are missed when Ray runs already: none of its processes may say anything, nor the exit code change."""
    make_shards(tmp_path / "shards", 8, per_shard=8, size=8, captions=0)
    stages = [{"model": tiny_model(16), "epochs": 0.2}]
    chain = tiny_chain(
        tmp_path, stages=stages, data={"train": str(tmp_path / "shards" / "*.tar"), "val": None}
    )
    result = compt("train", chain, "--run-dir", tmp_path / "run", timeout=240)
    assert (result.returncode, result.stdout) == (2, "")
    message, mend = result.stderr.splitlines()
    assert message.startswith("error: ") and "caption" in message
    assert mend.startswith("  mend: ")
