"""Broken samples cost only themselves: they are named and counted, and above a share the stage stops."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from PIL import Image

from tests.integration.harness import compt, ledger, tiny_chain, tiny_model

SAMPLES, BROKEN = 128, {5, 77}


def _shard(path: Path) -> None:
    """Pictures with captions; two of them have the size of a JPEG but are none."""
    with tarfile.open(path, "w") as tar:
        for number in range(SAMPLES):
            picture = io.BytesIO()
            Image.new("RGB", (12, 10), (number, 2 * number % 255, 90)).save(picture, "JPEG")
            content = b"\xff\xd8 not a picture" if number in BROKEN else picture.getvalue()
            for name, data in ((f"{number:04d}.jpg", content), (f"{number:04d}.txt", b"colour %d" % number)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _chain(folder: Path, share: float) -> Path:
    _shard(folder / "0.tar")
    stages = [{"model": tiny_model(16), "epochs": 2, "name": "only"}]
    data = {"train": str(folder / "0.tar"), "val": None, "max_bad_share": share}
    return tiny_chain(folder, stages=stages, data=data)


def test_they_are_named_once_and_counted(tmp_path: Path) -> None:
    result = compt("train", _chain(tmp_path, 0.05), "--run-dir", tmp_path / "run")
    assert result.returncode == 0, result.stdout + result.stderr
    entry = ledger(tmp_path / "run")["stages"][0]
    assert (entry["bad_samples"], entry["steps"], entry["samples"]) == (2, 4, 2 * (SAMPLES - 2))
    lines = (tmp_path / "run" / "01-only" / "bad_samples.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["key"] for line in lines) == ["0005", "0077"]
    assert "sample 0005 cannot be read" in result.stdout
    assert "2 samples could not be used" in result.stdout
    verified = compt("verify", tmp_path / "run", "--json")
    assert verified.returncode == 0, verified.stdout
    samples = json.loads(verified.stdout)["stages"][0]["samples"]
    assert (samples["right_epochs"], samples["used"], samples["unreadable"]) == (2, 2 * (SAMPLES - 2), 4)


def test_too_many_stop_the_stage_once_and_say_what_to_do(tmp_path: Path) -> None:
    result = compt("train", _chain(tmp_path, 0.01), "--run-dir", tmp_path / "run")
    assert result.returncode == 1
    assert "data.max_bad_share" in result.stderr and "mend:" in result.stderr
    assert "Traceback" not in result.stderr
    entry = ledger(tmp_path / "run")["stages"][0]
    assert entry["state"] == "failed" and "max_bad_share" in entry["error"]
