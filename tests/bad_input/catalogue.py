"""Every bad input that we know of. A new one: a row in the file of its kind, then `document.py`."""

from __future__ import annotations

from tests.bad_input import (
    captions,
    chain_keys,
    chain_text,
    cluster_costs,
    command_line,
    designs,
    jobs,
    models,
    outside,
    runs,
    shards,
    suites,
    sweep_folders,
    sweeps,
    teachers,
    trained,
)
from tests.bad_input.row import Chapter, Row

CHAPTERS: tuple[Chapter, ...] = (
    chain_text.CHAPTER,
    chain_keys.CHAPTER,
    models.CHAPTER,
    outside.CHAPTER,
    teachers.CHAPTER,
    command_line.OVERRIDES,
    command_line.USAGE,
    shards.FINDING,
    shards.ARCHIVES,
    shards.SAMPLES,
    captions.CHAPTER,
    runs.DATA,
    trained.STORED,
    trained.FILES,
    trained.GROWTH,
    suites.FILES,
    suites.TASKS,
    sweeps.FILES,
    sweeps.SPACE,
    sweeps.CHAINS,
    sweep_folders.FOLDERS,
    designs.DESIGNS,
    cluster_costs.COSTS,
    jobs.JOBS,
    runs.RUNS,
    runs.CLUSTERS,
)
ROWS: tuple[Row, ...] = tuple(row for chapter in CHAPTERS for row in chapter.rows)
