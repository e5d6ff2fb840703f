"""The page holds what it should, as text, and nothing that a sweep could make it do."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from ray_compt.sweep.choice import choose
from ray_compt.sweep.html.page import cards, headline, render, volume_words
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.scores import score
from tests.elements import Elements
from tests.sweep.records import ATTACK, METRIC, eventful, sweep, trial


@pytest.fixture(scope="module")
def page() -> str:
    return render(eventful(ATTACK), version="9.9")


@pytest.fixture(scope="module")
def elements(page: str) -> Elements:
    return Elements(page)


def test_what_strangers_wrote_stays_text(page: str, elements: Elements) -> None:
    assert "window.attacked" in elements.text
    assert ATTACK not in page and "<img src=x" not in page
    assert [tag for tag, _ in elements.found].count("script") == 3
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)


def test_nothing_is_loaded_and_only_its_own_scripts_run(elements: Elements) -> None:
    for tag, attributes in elements.found:
        for name in ("src", "href", "data", "action", "srcset"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; script-src 'sha256-")


def test_it_says_what_the_sweep_reached_paid_and_saved() -> None:
    text = " ".join(Elements(render(eventful(), version="9.9")).text.split())
    record = eventful()
    assert f"the highest {METRIC} against MACs: 20 done, 1 pruned, 1 failed, 1 running, 1 pending" in text
    assert "candidate 9 (T → S: 68.50 % at 7.50 k MACs, mean of 2 seeds) has the highest" in text
    assert "image to text R@1 of candidate 9 68.5% T → S" in text
    assert record.macs_saved == 10_000 - 1000 and "saved by shared stages 9.00 k MACs" in text
    assert "trial 21 : the disk is full" in text
    assert "From 10 candidates." in text and "Hypervolume 0." in text
    assert "compt tune report" in text and "ray_compt 9.9, torch 2.11" in text


def test_every_trial_is_a_row_and_every_stage_of_the_tree_too() -> None:
    record = eventful()
    page = render(record, version="1")
    (trials,) = re.findall(r'<table class="trials">.*?</table>', page, re.DOTALL)
    assert trials.count("<tr>") == 1 + len(record.trials)
    (tree,) = re.findall(r'<table class="tree">.*?</table>', page, re.DOTALL)
    # T with two seeds, and what follows them; S alone; those of the pruned and of the running trial.
    assert tree.count("<tr>") == 1 + 2 + 10 + 10 + 2
    # A pruned trial's metric is that of an earlier stage, and not shown.
    pruned = next(row for row in trials.split("<tr>") if row.startswith("<td>20</td>"))
    assert "30.0%" not in pruned and "<td>pruned</td><td>-</td>" in pruned


def test_the_figures_are_plain_json(page: str) -> None:
    block = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert block is not None
    figures = json.loads(block[1])
    assert set(figures) == {f"plot-{name}" for name in ("front", "parallel", "importance", "tree")}
    for name in figures:
        assert f'<div class="plot" id="{name}">' in page


def test_a_sweep_that_has_only_begun_has_a_page() -> None:
    for record in (
        sweep(),
        sweep(trial(0, state="pending", stages=())),
        sweep(trial(0, state="failed", stages=())),
    ):
        page = render(record, version="1")
        assert 'class="plot"' not in page and "Nothing differs" in page


def test_the_headline_counts() -> None:
    assert headline(sweep()) == f"the highest {METRIC}: no trial has begun"
    assert headline(sweep(trial(0), trial(1, state="failed"))) == f"the highest {METRIC}: 1 done, 1 failed"


def test_the_hypervolume_is_stated_with_its_reference() -> None:
    record = sweep(trial(0, 0.5, 1000), trial(1, 0.6, 2000))
    scores = score(record.trials, record.objective)
    assert volume_words(scores, record) == "Hypervolume 0.250 of the whole box, from 0.0% at 2.00 k MACs."
    lower = replace(record, objective=Objective(METRIC, "min"))
    assert volume_words(scores, lower).startswith("Hypervolume 100, from 60.0% at 2.00 k MACs.")
    assert volume_words([], record) == ""


def test_without_a_winner_there_is_no_card_of_one() -> None:
    record = sweep(trial(0), objective=Objective(METRIC, at_least=0.9, minimise="macs"))
    scores = score(record.trials, record.objective)
    titles = [title for title, *_ in cards(record, scores, choose(scores, record.objective))]
    assert titles == ["paid", "saved by shared stages"]
