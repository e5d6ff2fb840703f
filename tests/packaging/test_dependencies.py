"""Every package that the code imports is declared: nothing works by the luck of a dependency's dependency."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_architecture import PACKAGE, ROOT, read_imports

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OURS = {"ray_compt", "tests", "benchmarks", "examples"}
STANDARD = sys.stdlib_module_names | {"tomllib"}

# Where a module and the package that brings it differ in name.
BROUGHT_BY = {
    "PIL": "pillow",
    "mlflow": "mlflow-skinny",
    "open_clip": "open-clip-torch",
    "pydantic_core": "pydantic",
    "ruamel": "ruamel-yaml",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


# Extras of what the package itself imports, inside a function, where a user asks for it.
ASKED_FOR = ("wandb", "mlflow", "eval")


@pytest.fixture(scope="module")
def declared() -> dict[str, set[str]]:
    """Names of the packages that ray_compt needs, and those that its tests may use too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed, extras = _names(project["dependencies"]), project["optional-dependencies"]
    return {
        "package": needed,
        "asked for": {name for extra in ASKED_FOR for name in _names(extras[extra])},
        "tests": needed | _names(extras["dev"]),
    }


@pytest.mark.parametrize(
    "part, folder", [("package", PACKAGE), ("package", ROOT / "examples"), ("tests", ROOT / "tests")]
)
def test_every_import_is_declared(declared: dict[str, set[str]], part: str, folder: Path):
    undeclared = []
    for file in sorted(folder.rglob("*.py")):
        for found in read_imports(file, folder):
            module = found.module.partition(".")[0]
            package = BROUGHT_BY.get(module, canonicalize_name(module))
            known = declared[part] | (set() if found.top else declared["asked for"])
            if module not in OURS | STANDARD and package not in known:
                undeclared.append(f"{found.place} (from {package})")
    assert not undeclared, "\n".join(undeclared)


def _names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}
