"""What is sent to the job server: entry point, files, environment."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import ray_compt
from ray_compt.errors import UserError
from ray_compt.jobs.submission import Choices, Way, read_variables, run_of_job, submission
from ray_compt.jobs.wheel import make_wheel, own_files
from ray_compt.jobs.work import Work

WORK = Work(
    "train", "tiny", "a b.yaml", {"a b.yaml": b"name: tiny\n"}, ("seed=1", "data.train=s3://x/{0..9}.tar")
)
INFO = "ray_compt-9.dist-info"
FILES = {
    "ray_compt/__init__.py": b'__version__ = "9"\n',
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: ray_compt\nVersion: 9\n",
}


def test_the_entry_point_is_the_command_that_one_would_type() -> None:
    job = submission(WORK, Choices("s3://b/run", "none", ["--individual"]), {})
    words = shlex.split(job.entrypoint)
    assert words[:6] == ["python", "-m", "ray_compt", "train", "a b.yaml", "--run-dir"]
    assert words[6:] == ["s3://b/run", "--set", WORK.overrides[0], "--set", WORK.overrides[1], "--individual"]


@pytest.mark.parametrize(
    "way, files, installs",
    [
        ("none", {"a b.yaml"}, False),
        ("copy", {"a b.yaml", "ray_compt/__init__.py"}, False),
        ("pip", {"a b.yaml", make_wheel(FILES)[0]}, True),
    ],
)
def test_the_package_comes_as_chosen(way: Way, files: set[str], installs: bool) -> None:
    job = submission(WORK, Choices("/r", way), {} if way == "none" else FILES)
    assert set(job.files) == files
    assert ("pip" in job.runtime_env) is installs
    if installs:
        assert job.runtime_env["pip"] == ["${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/" + make_wheel(FILES)[0]]


def test_variables_and_cpus_are_passed_on() -> None:
    job = submission(WORK, Choices("/r", "none", variables={"A": "1"}, driver_cpus=0.5), {})
    assert (job.runtime_env, job.driver_cpus) == ({"env_vars": {"A": "1"}}, 0.5)


def test_equal_files_make_an_equal_wheel_and_others_another_version() -> None:
    name, wheel = make_wheel(FILES)
    assert (name, wheel) == make_wheel(dict(reversed(FILES.items())))
    other, _ = make_wheel({**FILES, "ray_compt/__init__.py": b'__version__ = "9" \n'})
    assert name.startswith("ray_compt-9+") and other.startswith("ray_compt-9+") and name != other


def test_the_run_folder_of_a_job_is_found_again() -> None:
    job = submission(WORK, Choices("/r"), FILES)
    assert run_of_job(job.metadata, "") == "/r"
    chain = "x\nchain digits: 3 stages, 9 training samples, no validation split; run folder /a/b c\nmore"
    assert run_of_job({}, chain) == "/a/b c"
    assert run_of_job({}, "sweep s: 4 candidates, 4 to go; s3://b/s\n") == "s3://b/s"
    assert run_of_job({}, "Traceback\n") is None


def test_variables_come_from_the_text_or_from_here() -> None:
    assert read_variables(["A=1=2", "B", "C="], {"B": "b"}) == {"A": "1=2", "B": "b", "C": ""}
    for text in ("=1", "1A=2", "a b=3", "B"):
        with pytest.raises(UserError):
            read_variables([text], {})


def test_the_wheel_can_be_installed(tmp_path: Path) -> None:
    name, wheel = make_wheel(FILES)
    file, there = tmp_path / name, tmp_path / "there"
    file.write_bytes(wheel)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", there, file]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (there / "ray_compt" / "__init__.py").read_bytes() == FILES["ray_compt/__init__.py"]
    (found,) = metadata.distributions(path=[str(there)])
    assert f"ray_compt-{found.version}-py3-none-any.whl" == name


@pytest.fixture(scope="module")
def built() -> dict[str, bytes]:
    pytest.importorskip("hatchling", reason="the build backend comes with the extra 'dev'")
    return own_files()


def test_a_source_tree_is_built(built: dict[str, bytes]) -> None:
    assert {"ray_compt/__main__.py", "ray_compt/_chains/digits.yaml"} <= set(built)
    assert built["ray_compt/jobs/wheel.py"] == Path(own_files.__code__.co_filename).read_bytes()


def test_an_installed_package_is_put_together_again(built: dict[str, bytes], tmp_path: Path) -> None:
    """As in an environment without the source tree: our files, and what an installer adds to them."""
    name, wheel = make_wheel(built)
    (tmp_path / name).write_bytes(wheel)
    site = tmp_path / "site"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--target",
        site,
        tmp_path / name,
    ]
    subprocess.run(pip, check=True, capture_output=True)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from ray_compt.jobs.wheel import own_files\n"
        "for name, content in sorted(own_files().items()): print(name, len(content))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, site], cwd=tmp_path, env={}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ours = [f"{name} {len(content)}" for name, content in sorted(built.items()) if ".dist-info/" not in name]
    assert [line for line in done.stdout.splitlines() if ".dist-info/" not in line] == ours
    assert ".dist-info/WHEEL " in done.stdout and "INSTALLER" not in done.stdout


def test_a_source_tree_that_cannot_be_built_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(ray_compt, "__file__", str(tmp_path / "ray_compt" / "__init__.py"))
    with pytest.raises(UserError, match="no wheel can be built") as refused:
        own_files()
    assert refused.value.where == str(tmp_path)
