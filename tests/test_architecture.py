"""Holds the house's rules: which room may know which, what stays light, how long a file may get.

The rooms are the folders of ray_compt. An arrow is an import of one room by another, at the top of a module
or inside a function. A new room goes into `LEVELS`.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ray_compt"

# Highest first. A room may import rooms of lower levels, and of its own level as long as no circle arises.
LEVELS = (
    {"cli"},
    {"jobs"},
    {"chain", "sweep"},
    {"train", "evaluate", "plan", "report", "doctor"},
    {"teacher", "distill", "data", "growth", "models"},
    {"storage", "forkserver"},
    {"config"},
    {"errors"},
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

# Mathematics and plain data: usable, and testable, without a cluster.
PURE = (
    "growth",
    "plan",
    "config",
    "data/order.py",
    "jobs/places.py",
    "jobs/status.py",
    "jobs/submission.py",
    "jobs/words.py",
    "jobs/work.py",
    "distill/settings.py",
    "teacher/feature_ranges.py",
    "distill/loss.py",
    "doctor/finding.py",
    "doctor/judge_cluster.py",
    "doctor/judge_machine.py",
    "doctor/judge_paths.py",
    "doctor/judge_versions.py",
    "doctor/probe.py",
    "train/loss.py",
    "train/schedule.py",
    "sweep/base.py",
    "sweep/candidate.py",
    "sweep/check.py",
    "sweep/choice.py",
    "sweep/columns.py",
    "sweep/composition.py",
    "sweep/html",
    "sweep/importance.py",
    "sweep/metrics.py",
    "sweep/models.py",
    "sweep/objective.py",
    "sweep/plan.py",
    "sweep/prefixes.py",
    "sweep/record.py",
    "sweep/running/queue.py",
    "sweep/running/same.py",
    "sweep/running/size.py",
    "sweep/running/values.py",
    "sweep/scores.py",
    "sweep/space.py",
)

# `compt --help` answers in under a second: these may not import anything heavy at the top of a module.
LIGHT = ("cli", "config", "errors.py", "__init__.py", "__main__.py")
HEAVY = {
    "torch",
    "torchvision",
    "ray",
    "deepspeed",
    "open_clip",
    "timm",
    "pandas",
    "sklearn",
    "pyarrow",
    "optuna",
    "clip_benchmark",
}

LONGEST_FILE = 400
OTHER_PEOPLES = {".git", ".venv", ".hypothesis", "runs", "build", "dist"}
TEXT = {".py", ".toml", ".txt", ".md", ".yaml", ".yml", ".json", ".cff", ".sh", ""}


@dataclass(frozen=True)
class Import:
    """One imported module name, for example ``ray_compt.data.order`` or ``torch.nn``."""

    file: Path
    line: int
    module: str
    top: bool  # runs when the file is imported

    @property
    def place(self) -> str:
        return f"{self.file.as_posix()}:{self.line}: {self.module}"


def read_imports(file: Path, package: Path = PACKAGE) -> list[Import]:
    """Every import statement of a file, and every `import_module("...")` with a written-out name."""
    found = []
    for node, top in _walk(ast.parse(file.read_text(encoding="utf-8")), top=True):
        for module in _modules(node, file, package):
            found.append(Import(file.relative_to(package.parent), node.lineno, module, top))
    return found


def _walk(node: ast.AST, top: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        lazy = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        yield child, top
        yield from _walk(child, top and not lazy)


def _modules(node: ast.AST, file: Path, package: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = file.relative_to(package.parent).with_suffix("").parts[: -node.level]
            base = ".".join((*parts, base)).rstrip(".")
        # `from ray_compt import data` names a room, `from ray_compt.data import Order` does not.
        return [f"{base}.{alias.name}" for alias in node.names] if base == package.name else [base]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
        argument = node.args[0]
        return [argument.value] if isinstance(argument, ast.Constant) else []
    return []


def room_of(file: Path, package: Path = PACKAGE) -> str:
    """The room of a file: a folder of the package, or a module beside them such as ``errors``."""
    return file.relative_to(package).with_suffix("").parts[0]


def read_arrows(package: Path = PACKAGE) -> list[tuple[str, str, Import]]:
    """Every (importing room, imported room) with the import that makes it."""
    arrows = []
    for file in sorted(package.rglob("*.py")):
        room = room_of(file, package)
        for found in read_imports(file, package):
            parts = found.module.split(".")
            if parts[0] == package.name and len(parts) > 1 and parts[1] in LEVEL and parts[1] != room:
                arrows.append((room, parts[1], found))
    return arrows


def upward(arrows: list[tuple[str, str, Import]]) -> list[str]:
    """The arrows that point from a lower room to a higher one."""
    return [
        f"{found.place} ({room} may not know {target})"
        for room, target, found in arrows
        if room in LEVEL and LEVEL[room] > LEVEL[target]
    ]


def files_of(parts: tuple[str, ...]) -> list[Path]:
    """The Python files of rooms and single files given relative to the package."""
    files = []
    for part in parts:
        path = PACKAGE / part
        assert path.exists(), f"{part} has moved: mend the lists at the top of this file"
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return files


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def loaded_after(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def our_files() -> list[Path]:
    """Every text file of the repository that we wrote, whatever git knows of it."""
    return [
        path
        for top in sorted(ROOT.iterdir())
        if top.name not in OTHER_PEOPLES and not top.name.endswith((".egg-info", "_cache"))
        for path in ([top] if top.is_file() else sorted(top.rglob("*")))
        if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts
    ]


def test_every_room_has_a_level():
    rooms = {room_of(file) for file in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert rooms <= set(LEVEL), f"place these in LEVELS: {sorted(rooms - set(LEVEL))}"


def test_arrows_point_down():
    wrong = upward(read_arrows())
    assert not wrong, "\n".join(wrong)


def test_rooms_of_one_level_make_no_circle():
    graph: dict[str, set[str]] = {}
    for room, target, _ in read_arrows():
        graph.setdefault(room, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_pure_rooms_name_no_ray():
    named = [found.place for file in files_of(PURE) for found in read_imports(file) if _root(found) == "ray"]
    assert not named, "\n".join(named)


def test_pure_rooms_load_no_ray():
    loaded = loaded_after("\n".join(f"import {module_name(file)}" for file in files_of(PURE)))
    assert "ray" not in loaded


def test_pure_rooms_are_checked_as_strictly_as_mypy_can():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    strict = [
        pattern
        for override in options["overrides"]
        if override.get("disallow_untyped_defs") and override.get("warn_return_any")
        for pattern in override["module"]
    ]
    names = [module_name(file) for file in files_of(PURE)]
    # `room.*` holds for the room's own __init__ too.
    loose = [n for n in names if not any(fnmatch(n, p) or n == p.removesuffix(".*") for p in strict)]
    assert not loose, f"name these among the strict modules of pyproject.toml: {loose}"


def test_light_rooms_import_nothing_heavy_at_the_top():
    heavy = [
        found.place
        for file in files_of(LIGHT)
        for found in read_imports(file)
        if found.top and _root(found) in HEAVY
    ]
    assert not heavy, "\n".join(heavy)


def test_program_starts_without_anything_heavy():
    assert loaded_after("import ray_compt.cli.main") & HEAVY == set()


def test_no_file_grows_too_long():
    long = [
        f"{file.relative_to(ROOT).as_posix()}: {length} lines"
        for file in our_files()
        if file.suffix == ".py"
        and (length := len(file.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    ]
    assert not long, "\n".join(long)


def test_no_file_names_one_machine_or_a_registry():
    folders = ("work", "tmp/venv", "tmp/pk", "opt/pypi", "opt/wheels", "root/.pyenv")
    hosts = (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs", "org"), ("deb", "debian", "org"))
    forbidden = re.compile(
        "|".join([rf"(?<![\w.~-])/{folder}\b" for folder in folders] + [r"\.".join(host) for host in hosts])
    )
    named = [
        f"{file.relative_to(ROOT).as_posix()}:{number}: {line.strip()}"
        for file in our_files()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if forbidden.search(line)
    ]
    assert not named, "\n".join(named)


@pytest.mark.parametrize(
    "source",
    [
        "from ray_compt.train import train_stage",
        "from ray_compt import train",
        "from ..train import train_stage",
        "import ray_compt.train.stage as stage",
        "def later():\n    from ray_compt.train.stage import train_stage",
        "import importlib\ntrain = importlib.import_module('ray_compt.train')",
    ],
)
def test_an_upward_arrow_is_seen(tmp_path: Path, source: str):
    file = tmp_path / "ray_compt" / "data" / "order.py"
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    assert len(upward(read_arrows(tmp_path / "ray_compt"))) == 1


@pytest.mark.parametrize(
    "source, top",
    [
        ("import torch", True),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None", True),
        ("class Model:\n    import torch", True),
        ("def build():\n    import torch", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", False),
    ],
)
def test_an_import_at_the_top_is_told_from_a_lazy_one(tmp_path: Path, source: str, top: bool):
    file = tmp_path / "ray_compt" / "config" / "schema.py"
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    found = [each for each in read_imports(file, tmp_path / "ray_compt") if _root(each) == "torch"]
    assert [each.top for each in found] == [top]


def _root(found: Import) -> str:
    return found.module.partition(".")[0]
