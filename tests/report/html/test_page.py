"""The page holds what it should, as text, and nothing that a run could make it do."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import pytest

from ray_compt.report.html.document import json_block
from ray_compt.report.html.facts import RunFacts
from ray_compt.report.html.page import (
    Section,
    cards,
    headline,
    render,
    state,
    versions_changed,
)
from tests.elements import Elements
from tests.report.html.eventful import ATTACK


@pytest.fixture(scope="module")
def page(facts: RunFacts) -> str:
    return render([Section(facts, None, "there is no split.")], version="9.9")


@pytest.fixture(scope="module")
def elements(page: str) -> Elements:
    return Elements(page)


def test_what_strangers_wrote_stays_text(page: str, elements: Elements) -> None:
    assert "window.attacked" in elements.text
    assert ATTACK not in page
    assert "<script>window.attacked" not in page and "<img src=x" not in page
    # Two scripts and the figures.
    assert [tag for tag, _ in elements.found].count("script") == 3
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)


def test_nothing_is_loaded_from_anywhere(elements: Elements) -> None:
    for tag, attributes in elements.found:
        for name in ("src", "href", "data", "action", "srcset"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)


def test_only_the_pages_own_scripts_may_run(page: str, elements: Elements) -> None:
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.partition("style-src")[0] and "unsafe-eval" not in policy


def test_it_says_what_the_run_reached_and_how_to_repeat_it(facts: RunFacts, elements: Elements) -> None:
    text = " ".join(elements.text.split())
    assert "ViT-32x1-8 → ViT-64x1-8: done" in text
    assert "zero-shot top-1 of large 60.0 % alone 70.0 %" in text
    assert f"acceleration of the family {facts.family_alone_macs / facts.chain_macs:.2f}x" in text
    assert "compt train '<script>" in text
    assert "Started 2 times" in text and "Not always with the same version of torch." in text
    assert "class_field: category" in text
    assert "None: there is no split." in text and "compt 9.9" in text


def test_bad_samples_are_listed_without_credentials(page: str, elements: Elements) -> None:
    assert "s3://bucket/0.tar" in elements.text and "secret" not in page
    assert "02-large: 3" in elements.text


def test_the_figures_are_plain_json(page: str) -> None:
    block = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert block is not None
    figures = json.loads(block[1])
    assert set(figures) == {
        "plot-accuracy",
        *(f"plot-0-{name}" for name in ("cost", "losses", "growth", "workers", "speed")),
        *(f"plot-0-{name}" for name in ("intervals", "calibration", "robustness")),
    }
    for name in figures:
        assert f'<div class="plot" id="{name}">' in page


@pytest.mark.parametrize("text", ["</script>", "<!--", "a & b", "\u2028", "é→"])
def test_a_json_block_cannot_end_its_element(text: str) -> None:
    block = str(json_block({"a": text}))
    assert not set("<>&\u2028") & set(block)
    assert json.loads(block) == {"a": text}


def test_several_runs_are_compared(facts: RunFacts) -> None:
    other = replace(facts, path="elsewhere", starts=())
    text = Elements(render([Section(facts, None), Section(other, None)], version="1")).text
    assert text.count("Cost of each stage") == 2 and text.count("Accuracy against cost") == 1
    assert "neither its command nor its versions" in text


def test_a_run_that_still_trains_claims_no_factor(facts: RunFacts) -> None:
    training = replace(facts.stages[1], state="running", metrics={}, steps=1)
    going = replace(facts, stages=[facts.stages[0], training], individual=())
    assert headline(going) == "ViT-32x1-8 → ViT-64x1-8: 02-large is running, 1 of 2 stages done"
    titles = [title for title, _, _ in cards(going)]
    assert titles == ["zero-shot top-1 of small", "the chain"]
    assert "spent so far" in cards(going)[1][2]


def test_a_run_that_has_spent_nothing_has_no_figures_of_cost(facts: RunFacts) -> None:
    stages = [replace(stage, student_macs=0, teacher_macs=0) for stage in facts.stages]
    free = replace(facts, stages=stages, individual=())
    assert not [title for title, *_ in cards(free) if "chain" in title or "family" in title]
    assert render([Section(free, None, "none")], version="1")


def test_fine_tuning_is_held_against_nothing(facts: RunFacts) -> None:
    tuned = replace(facts, stages=facts.stages[:1], individual=(), finetuned=True)
    assert [(title, beside) for title, _, beside in cards(tuned)] == [
        ("zero-shot top-1 of small", ""),
        ("fine-tuning", "training MACs"),
    ]
    page = render([Section(tuned, None, "none")], version="1")
    assert "Cost of each stage" not in page and "planned)" not in page


def test_planned_and_trained_baselines_are_told_apart(facts: RunFacts) -> None:
    assert "(trained)" in cards(facts)[2][2]
    planned = cards(replace(facts, individual=()))
    assert "(planned)" in planned[2][2] and planned[0][2] == "not trained alone"


def test_the_state_is_that_of_the_first_stage_that_is_not_done(facts: RunFacts) -> None:
    pending = replace(facts.stages[1], state="pending")
    failed = replace(facts.stages[1], state="failed", error="no room <here>")
    assert state(replace(facts, stages=[facts.stages[0], pending], individual=())) == "not all begun"
    run = replace(facts, stages=[facts.stages[0], failed], individual=())
    assert state(run) == "02-large is failed"
    assert html.escape("no room <here>") in render([Section(run, None)], version="1")


def test_versions_that_changed_between_starts() -> None:
    starts = [{"packages": {"torch": "1", "ray": "2"}}, {"packages": {"torch": "1", "ray": "3"}}, {}]
    assert versions_changed(starts) == ["ray"]
