from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.report import read_run
from ray_compt.report.html.facts import RunFacts
from ray_compt.storage import open_place
from tests.report.html.eventful import make_eventful


@pytest.fixture(scope="session")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder to look at; whoever changes one copies it."""
    return make_eventful(tmp_path_factory.mktemp("eventful"))


@pytest.fixture(scope="session")
def facts(eventful: Path) -> RunFacts:
    return read_run(RunFolder(open_place(eventful)))
