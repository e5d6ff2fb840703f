"""Temporary folders go with those that made them, at the latest when the next one is made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ray_compt.storage import Scratch


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_goes_with_its_block_and_with_its_object(temporary: Path) -> None:
    with Scratch() as folder:
        (folder / "file").write_text("x")
    held = Scratch()
    assert list(temporary.iterdir()) == [held.path]
    del held
    assert not list(temporary.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_holds_is_not(temporary: Path) -> None:
    (temporary / "ray_compt_mine").mkdir()
    make = "from ray_compt.storage import Scratch; s = Scratch(); print(s.path, flush=True)"
    code = f"{make}; import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with Scratch():
            assert left.is_dir()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with Scratch() as folder:
            assert sorted(temporary.iterdir()) == sorted([temporary / "ray_compt_mine", folder])
    finally:
        process.kill()
        process.wait()


def test_many_at_once_do_not_take_one_another_s(temporary: Path) -> None:
    work = "with Scratch() as folder: (folder / 'file').write_text('x')"
    code = f"from ray_compt.storage import Scratch\nfor _ in range(300):\n    {work}"
    makers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [maker.wait(60) for maker in makers] == [0, 0, 0]
    assert not list(temporary.iterdir())
