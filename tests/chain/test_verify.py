"""`verify_run` on run folders that are whole, and with every kind of damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ray_compt.chain.folder import add_individuals
from ray_compt.chain.ledger import Ledger
from ray_compt.config import load_chain
from ray_compt.data import open_index
from ray_compt.data.order import chain_order
from ray_compt.data.sample_digest import sample_words, to_text
from ray_compt.errors import UserError
from ray_compt.storage import open_place
from tests.chain.damage import FINAL, check, cut, flip, lines, remove, stage, write
from tests.chain.fabricate import (
    DROPPED,
    GLOBAL_BATCH,
    LARGE,
    LARGE_STEPS,
    PER_EPOCH,
    SMALL,
    SMALL_STEPS,
    checkpoint,
    make_run,
    record,
)


def test_a_run_that_broke_off_is_well_so_far(run: Path) -> None:
    report = check(run)
    assert report.well
    small, large = report.stages
    assert (small.state, large.state) == ("done", "running")
    for found, planned, right in ((small, SMALL_STEPS, SMALL_STEPS), (large, LARGE_STEPS, 2)):
        samples = found.samples
        assert samples is not None
        assert (samples.planned_steps, samples.due_steps, samples.right_steps) == (planned, right, right)
        assert (samples.used, samples.unreadable) == (right * GLOBAL_BATCH, 0)
        assert samples.dropped == DROPPED > 0
    assert small.samples and large.samples
    assert (small.samples.right_epochs, large.samples.right_epochs) == (2, 0)
    assert [one.step for one in small.checkpoints] == [PER_EPOCH, SMALL_STEPS]
    assert small.export and small.export.checked and large.export is None


def _swap_a_key(run: Path) -> None:
    """Step 2 used a sample of step 3 instead of one of its own."""
    chain = load_chain(run / "chain.yaml")
    index = open_index(chain.data.train, chain.data, run / "index")
    order = [json.loads(line) for line in lines(run)]
    batch, other = (chain_order(chain, index.sizes, GLOBAL_BATCH).batch(0, b) for b in (1, 2))
    keys = [index.source.keys(shard) for shard in index.shards]
    words = [sample_words(shard, keys[shard][i]) for shard, i in [*batch[1:], other[0]]]
    order[1]["digest"] = to_text((sum(w[0] for w in words) % 2**64, sum(w[1] for w in words) % 2**64))
    write(run, [json.dumps(line) for line in order])


def _reorder(run: Path) -> None:
    """The digests of two steps have changed places."""
    first, second, *rest = map(json.loads, lines(run))
    first["digest"], second["digest"] = second["digest"], first["digest"]
    write(run, [json.dumps(line) for line in (first, second, *rest)])


def _shorten_the_ledger(run: Path) -> None:
    ledger = Ledger.open(open_place(run / "ledger.json"))
    ledger.update(ledger.stages[0], steps=SMALL_STEPS - 1)


def _one_more_step(run: Path) -> None:
    line = json.loads(lines(run)[0])
    write(run, [*lines(run), json.dumps({**line, "step": SMALL_STEPS + 1})])


@pytest.mark.parametrize(
    ("damage", "kind", "what"),
    [
        (_swap_a_key, "differs", "step 2 used other samples than planned: 8 samples of epoch 0"),
        (_reorder, "differs", "steps 1 to 2 used other samples than planned: 16 samples of epoch 0"),
        (lambda run: write(run, lines(run)[:3] + lines(run)[4:]), "missing", "step 4 not on record"),
        (
            lambda run: write(run, lines(run)[5:]),
            "missing",
            "steps 1 to 5 not on record: 40 samples of epochs 0 to 1",
        ),
        (
            lambda run: write(run, lines(run)[:5] + lines(run)[4:]),
            "doubled",
            "step 5 recorded more than once",
        ),
        (_one_more_step, "unplanned", "step 7 of 6 planned"),
        (lambda run: write(run, [*lines(run), "[]"]), "unreadable", "line 8 of metrics.jsonl"),
        (
            lambda run: write(run, [*lines(run), '{"st'], end=""),
            "unreadable",
            "the last line of metrics.jsonl is cut",
        ),
        (remove(f"{SMALL}/metrics.jsonl"), "missing", "steps 1 to 6 not on record"),
        (_shorten_the_ledger, "ledger", "the ledger says 5 steps, the plan 6"),
        (flip(f"{FINAL}/weights.safetensors"), "checkpoint", "weights.safetensors: damaged"),
        (cut(f"{FINAL}/moments.safetensors"), "checkpoint", "moments.safetensors: damaged"),
        (remove(f"{FINAL}/moments.safetensors"), "checkpoint", "moments.safetensors: missing"),
        (cut(f"{FINAL}/state.json"), "checkpoint", "state.json: damaged"),
        (remove(f"{FINAL}/state.json"), "checkpoint", "none of the checkpoints is that of the last step, 6"),
        (
            lambda run: shutil.rmtree(run / FINAL),
            "checkpoint",
            "none of the checkpoints is that of the last step",
        ),
        (flip(f"{SMALL}/model.safetensors"), "export", "model.safetensors: damaged"),
        (cut(f"{SMALL}/model.safetensors"), "export", "model.safetensors: damaged"),
        (remove(f"{SMALL}/model.safetensors"), "export", "model.safetensors: missing"),
        (flip(f"{SMALL}/open_clip_config.json"), "export", "open_clip_config.json: damaged"),
        (cut(f"{SMALL}/checksums.json"), "export", "checksums.json: cannot be read"),
    ],
)
def test_every_damage_is_found_and_named(
    run: Path, damage: Callable[[Path], None], kind: str, what: str
) -> None:
    damage(run)
    report = check(run)
    assert not report.well
    problems = stage(report, SMALL).problems
    assert {problem.kind for problem in problems} == {kind}
    assert any(what in problem.what for problem in problems)
    assert not stage(report, LARGE).problems and not stage(report, LARGE).unchecked


def test_the_planned_samples_of_a_missing_step_are_named(run: Path) -> None:
    write(run, lines(run)[:4] + lines(run)[5:])
    [problem] = stage(check(run), SMALL).problems
    assert (problem.steps, problem.epochs, problem.samples) == ((5, 5), (1, 1), GLOBAL_BATCH)
    chain = load_chain(run / "chain.yaml")
    index = open_index(chain.data.train, chain.data, run / "index")
    batch = chain_order(chain, index.sizes, GLOBAL_BATCH).batch(1, 1)
    names = {f"{shard:05d}.tar/{index.source.keys(index.shards[shard])[i]}" for shard, i in batch}
    assert problem.first and set(problem.first) <= names


def test_damage_costs_only_its_own_epoch(run: Path) -> None:
    write(run, lines(run)[1:])
    samples = stage(check(run), SMALL).samples
    assert samples and (samples.right_steps, samples.right_epochs) == (SMALL_STEPS - 1, 1)


def test_a_running_stage_may_be_in_the_middle_of_a_line(run: Path) -> None:
    write(run, [*lines(run, LARGE), '{"step": 3, "lo'], LARGE, end="")
    report = check(run)
    samples = stage(report, LARGE).samples
    assert report.well and samples and samples.right_steps == 2


def test_a_running_stage_has_every_step_of_its_checkpoint_on_record(run: Path) -> None:
    checkpoint(run / LARGE, 3)
    [problem] = stage(check(run), LARGE).problems
    assert (problem.kind, problem.steps) == ("missing", (3, 3))


def test_samples_that_could_not_be_read_are_told_from_used_ones(run: Path) -> None:
    chain = load_chain(run / "chain.yaml")
    index = open_index(chain.data.train, chain.data, run / "index")
    keys = set(index.source.keys(index.shards[0])[:3])
    record(run / LARGE, index, 3, workers=4, unreadable=lambda row: row.raw.key in keys)
    report = check(run)
    samples = stage(report, LARGE).samples
    assert report.well and samples
    assert 0 < samples.unreadable <= 3
    assert samples.used + samples.unreadable == 3 * GLOBAL_BATCH


def test_samples_of_steps_without_an_update_are_told_from_used_ones(run: Path) -> None:
    first, *rest = lines(run)
    write(run, [json.dumps({**json.loads(first), "skipped": 1.0}), *rest])
    report = check(run)
    samples = stage(report, SMALL).samples
    assert report.well and samples
    assert (samples.used, samples.skipped) == ((SMALL_STEPS - 1) * GLOBAL_BATCH, GLOBAL_BATCH)


def test_the_shards_are_not_needed_where_their_tables_are(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    shutil.rmtree(tmp_path / "shards")
    assert check(run).well


def test_what_cannot_be_known_is_said_and_is_not_well(run: Path) -> None:
    [listing] = (run / "index").glob("train-*.json")
    listed = json.loads(listing.read_text())
    listed["shards"][1][0] = "/nowhere/00001.tar"
    listing.write_text(json.dumps(listed))
    report = check(run)
    assert not report.well
    for found in report.stages:
        assert not found.problems and found.samples
        assert any("/nowhere/00001.tar: the shard is gone" in what for what in found.unchecked)
        assert found.samples.right_steps < found.samples.due_steps


def test_a_missing_step_is_found_though_its_keys_are_not_known(run: Path) -> None:
    [listing] = (run / "index").glob("train-*.json")
    listing.write_text(json.dumps({"format": 1, "shards": [["/nowhere/0.tar", sum((7, 12, 9)), "1:0"]]}))
    write(run, lines(run)[1:])
    found = stage(check(run), SMALL)
    assert [problem.kind for problem in found.problems] == ["missing"]
    assert all(name.startswith("0.tar/#") for name in found.problems[0].first)


@pytest.mark.parametrize("lost", ["list", "ledger", "digests", "checksums"])
def test_runs_of_older_versions_are_not_called_well(run: Path, lost: str) -> None:
    if lost == "list":
        [listing] = (run / "index").glob("train-*.json")
        listing.unlink()
    elif lost == "ledger":
        ledger = Ledger.open(open_place(run / "ledger.json"))
        ledger.update(ledger.stages[0], data="")
    elif lost == "digests":
        bare = [
            {key: value for key, value in json.loads(line).items() if key != "digest"} for line in lines(run)
        ]
        write(run, [json.dumps(line) for line in bare])
    else:
        (run / SMALL / "checksums.json").unlink()
    report = check(run)
    found = stage(report, SMALL)
    assert not report.well
    assert found.problems == () and len(found.unchecked) == 1


def test_individual_models_are_checked_and_a_shared_one_once(run: Path) -> None:
    ledger = Ledger.open(open_place(run / "ledger.json"))
    add_individuals(ledger, load_chain(run / "chain.yaml"))
    alone = ledger.individual[1]
    shutil.copytree(run / SMALL, run / alone.folder)
    ledger.update(alone, state="done", steps=SMALL_STEPS, data=ledger.stages[0].data)
    report = check(run)
    assert report.well
    assert [found.folder for found in report.stages] == [SMALL, LARGE, "individual/02-large"]
    flip("individual/02-large/model.safetensors")(run)
    assert [bool(found.problems) for found in check(run).stages] == [False, False, True]


def test_a_stage_that_has_not_begun_has_nothing_to_be_checked(run: Path) -> None:
    ledger = Ledger.open(open_place(run / "ledger.json"))
    ledger.update(ledger.stages[1], state="pending")
    shutil.rmtree(run / LARGE)
    report = check(run)
    assert report.well and stage(report, LARGE).samples is None


def test_a_folder_without_a_run_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no ledger here"):
        check(tmp_path)


def test_the_report_is_plain_json(run: Path) -> None:
    write(run, lines(run)[1:])
    document = json.loads(json.dumps(check(run).to_json()))
    assert document["well"] is False
    assert document["stages"][0]["problems"][0]["steps"] == [1, 1]
    assert "problems" not in document["stages"][0]["samples"]
