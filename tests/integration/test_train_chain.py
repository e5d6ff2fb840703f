"""`compt train` from a chain file to a family of models that plain open_clip loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import open_clip
import torch
from huggingface_hub import ModelCard

from ray_compt.data.preprocess import normalise
from ray_compt.models import count_macs, count_parameters, load_config, make_tokenizer
from tests.integration.conftest import FinishedRun
from tests.integration.harness import compt, largest_difference, ledger, tiny_chain, weights

FOLDERS = ["01-small", "02-medium", "03-large"]
STEPS, BATCH = 11, 64


def test_the_ledger_says_what_every_stage_did(finished_run: FinishedRun) -> None:
    book = ledger(finished_run.folder)
    assert (book["schema"], book["chain"], book["individual"]) == (1, "tiny", [])
    assert [entry["folder"] for entry in book["stages"]] == FOLDERS
    for entry in book["stages"]:
        config = load_config(finished_run.folder / entry["folder"])
        assert entry["state"] == "done"
        assert entry["parameters"] == count_parameters(config)
        assert (entry["steps"], entry["samples"], entry["bad_samples"]) == (STEPS, STEPS * BATCH, 0)
        assert entry["seconds"] > 0 and entry["samples_per_second"] > 0
        assert set(entry["metrics"]) >= {"zero_shot_top1", "image_to_text_r1", "text_to_image_r10", "samples"}
    assert [entry["teacher"] for entry in book["stages"]] == [None, "actor", "inline"]
    assert book["stages"][0]["growth"] == "scratch"
    assert all("lossless" in entry["growth"] for entry in book["stages"][1:])


def test_grown_weights_are_as_good_as_the_predecessors(finished_run: FinishedRun) -> None:
    """Growth is lossless here, so that the evaluation before the first step finds the predecessor's metrics."""
    small, medium, large = ledger(finished_run.folder)["stages"]
    assert small["grown_metrics"] == {}
    for before, grown in ((small, medium), (medium, large)):
        assert grown["grown_metrics"].keys() == before["metrics"].keys()
        for name, value in before["metrics"].items():
            # A probe searches its regularisation, so that rounding may choose another one.
            allowed = 0.05 if name.startswith("linear_probe") else 0.01
            assert abs(grown["grown_metrics"][name] - value) < allowed, name


def test_the_run_says_what_it_ran_with_and_leaves_a_report(finished_run: FinishedRun) -> None:
    (start,) = json.loads((finished_run.folder / "environment.json").read_text())["starts"]
    assert (
        start["command"].startswith("compt train ")
        and start["packages"]["torch"] == torch.__version__.split("+")[0]
    )
    report = (finished_run.folder / "report.html").read_text()
    assert finished_run.output.rstrip().endswith(f"report: {finished_run.folder / 'report.html'}")
    assert 'class="example ' in report
    lines = (finished_run.folder / "02-medium" / "metrics.jsonl").read_text().splitlines()
    assert all(json.loads(line)["grad_norm"] > 0 for line in lines[:-1])


def test_macs_are_three_forwards_of_the_student_and_one_of_the_teacher(finished_run: FinishedRun) -> None:
    entries = ledger(finished_run.folder)["stages"]
    macs = [count_macs(load_config(finished_run.folder / folder)) for folder in FOLDERS]
    forward = [m.image + m.text for m in macs]
    for place, entry in enumerate(entries):
        teacher = STEPS * BATCH * forward[place - 1] if place else 0
        assert entry["teacher_macs"] == teacher
        assert entry["macs"] == 3 * STEPS * BATCH * forward[place] + teacher


def test_plain_open_clip_loads_every_stage_with_the_same_features(finished_run: FinishedRun) -> None:
    from ray_compt.models import build_model, load_state

    pixels = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    for folder in FOLDERS:
        path = finished_run.folder / folder
        model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{path}")
        tokens = open_clip.get_tokenizer(f"local-dir:{path}")(["the digit two", "a seven"])
        assert torch.equal(tokens, make_tokenizer(load_config(path))(["the digit two", "a seven"]))
        normalisation = preprocess.transforms[-1]
        images = normalise(pixels, normalisation.mean, normalisation.std)
        ours = build_model(load_config(path))
        ours.load_state_dict(load_state(path))
        ours.eval(), model.eval()
        with torch.no_grad():
            torch.testing.assert_close(
                model.encode_image(images), ours.encode_image(images), atol=1e-6, rtol=0
            )
            torch.testing.assert_close(model.encode_text(tokens), ours.encode_text(tokens), atol=1e-6, rtol=0)


def test_every_stage_is_measured_by_the_chains_suite(finished_run: FinishedRun) -> None:
    for entry in ledger(finished_run.folder)["stages"]:
        folder = finished_run.folder / entry["folder"]
        written = json.loads((folder / "evaluation.json").read_text())
        checksums = json.loads((folder / "checksums.json").read_text())
        assert (written["suite"], written["schema"]) == ("core", 1)
        assert written["model"] == {"checksum": checksums["model.safetensors"], "step": STEPS}
        tasks = {task["name"]: task for task in written["tasks"]}
        assert list(tasks) == ["zero_shot", "retrieval", "linear_probe", "knn"]
        assert tasks["knn"]["train"]["name"] == "builtin:digits/train"
        assert entry["metrics"]["zero_shot_top1"] == tasks["zero_shot"]["metrics"]["top1"]
        assert entry["metrics"]["linear_probe/top1"] == tasks["linear_probe"]["metrics"]["top1"]
        assert entry["metrics"]["linear_probe/top1"] > 0.3


def test_every_stage_has_a_card_with_its_results(finished_run: FinishedRun) -> None:
    for number, entry in enumerate(ledger(finished_run.folder)["stages"], start=1):
        card = ModelCard.load(finished_run.folder / entry["folder"] / "README.md")
        results = {result.metric_name: result.metric_value for result in card.data.eval_results}
        assert results["zero-shot top-1"] == entry["metrics"]["zero_shot_top1"]
        assert f"stage {number} of 3 of the chain `tiny`" in card.text
        assert all(f"| {name} |" in card.text for name in ("small", "medium", "large")[:number])
    assert "`small`" in (finished_run.folder / "02-medium" / "README.md").read_text()


def test_exports_hold_nothing_but_open_clips_tensors(finished_run: FinishedRun) -> None:
    """The third stage learnt maps to its teacher's width; they are not part of the model."""
    for folder in FOLDERS:
        assert not [name for name in weights(finished_run.folder / folder) if "map" in name]


def test_every_step_and_the_evaluation_are_on_record(finished_run: FinishedRun) -> None:
    for folder, distilled in zip(FOLDERS, (False, True, True)):
        path = finished_run.folder / folder
        lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [*range(1, STEPS + 1), STEPS]
        assert "zero_shot_top1" in lines[-1]["evaluation"]
        # A lossless start is its teacher up to rounding; what it learns leads away from there.
        assert (lines[-2]["distill_loss"] > 1e-5) == distilled
        assert list((path / "tensorboard").glob("events.out.tfevents.*"))
        assert not (path / "initial").exists()


def test_a_grown_stage_begins_where_its_predecessor_ended(finished_run: FinishedRun) -> None:
    def losses(folder: str) -> list[float]:
        lines = (finished_run.folder / folder / "metrics.jsonl").read_text().splitlines()[:-1]
        return [json.loads(line)["task_loss"] for line in lines]

    assert losses("02-medium")[0] < losses("01-small")[0] - 0.1
    assert abs(losses("02-medium")[0] - losses("01-small")[-1]) < 0.5


def test_the_terminal_is_quiet(finished_run: FinishedRun) -> None:
    """One line an event and a table; none of Ray's, DeepSpeed's or torch's lines."""
    assert finished_run.errors == ""
    lines = finished_run.output.splitlines()
    noise = ("(pid=", "WARNING", "INFO", "Warning", "ray.init", "deepspeed", "Checkpoint(", "Dataset")
    assert not [line for line in lines if any(word in line for word in noise)]
    assert len(lines) < 40
    assert sum(line.startswith("stage ") for line in lines) == 3
    assert "zero-shot" in finished_run.output and "times less compute" in finished_run.output


def test_a_finished_run_is_only_shown_again_and_gets_the_card_that_it_lacks(
    finished_run: FinishedRun,
) -> None:
    card = finished_run.folder / "02-medium" / "README.md"
    text = card.read_text()
    card.unlink()
    before = (finished_run.folder / "01-small" / "model.safetensors").stat().st_mtime_ns
    again = compt("train", finished_run.chain, "--run-dir", finished_run.folder, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == ledger(finished_run.folder)
    assert card.read_text() == text
    assert (finished_run.folder / "01-small" / "model.safetensors").stat().st_mtime_ns == before


def test_a_change_of_a_finished_stage_is_refused_and_loses_nothing(finished_run: FinishedRun) -> None:
    before = ledger(finished_run.folder)
    changed = compt("train", finished_run.chain, "--run-dir", finished_run.folder, "--set", "stages.0.lr=0.5")
    assert changed.returncode == 2
    assert "stages.0.train.lr: 0.001 -> 0.5" in changed.stderr
    assert "Traceback" not in changed.stderr
    assert ledger(finished_run.folder) == before


def test_compt_verify_finds_every_sample_used_once_and_every_file_whole(finished_run: FinishedRun) -> None:
    result = compt("verify", finished_run.folder, "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    for stage in json.loads(result.stdout)["stages"]:
        samples = stage["samples"]
        assert (samples["planned_steps"], samples["right_steps"]) == (STEPS, STEPS)
        assert (samples["used"], samples["unreadable"], samples["skipped"]) == (STEPS * BATCH, 0, 0)
        assert [checkpoint["step"] for checkpoint in stage["checkpoints"]] == [8, STEPS]
        assert stage["export"] == {"checked": True, "faults": {}}


def test_compt_verify_finds_what_is_wrong_with_a_damaged_copy(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    run = shutil.copytree(finished_run.folder, tmp_path / "run")
    metrics, model = run / "01-small" / "metrics.jsonl", run / "03-large" / "model.safetensors"
    first, second, *rest = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join([first, second.replace('"digest": "', '"digest": "0'), *rest]))
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    result = compt("verify", run)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "01-small: step 2 used other samples than planned: 64 samples of epoch 0" in result.stdout
    assert "03-large: model.safetensors: damaged" in result.stdout
    assert result.stdout.splitlines()[-1] == "not well: 2 wrong"


def test_compt_eval_finds_what_the_ledger_says(finished_run: FinishedRun) -> None:
    result = compt("eval", finished_run.folder, "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    for entry in ledger(finished_run.folder)["stages"]:
        assert str(entry["metrics"]["zero_shot_top1"])[:6] in json.dumps(found)


def test_individual_models_are_trained_from_scratch_and_the_first_is_shared(
    finished_run: FinishedRun, tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("individual")
    from tests.integration.harness import tiny_model

    stages = [
        {"model": tiny_model(16), "epochs": 0.2, "name": "a"},
        {"model": tiny_model(32), "epochs": 0.1, "name": "b", "distill": {"weight": 0.0}},
    ]
    chain = tiny_chain(folder, stages=stages)
    result = compt("train", chain, "--run-dir", folder / "run", "--individual", "--json")
    assert result.returncode == 0, result.stderr
    book = json.loads(result.stdout)
    assert [entry["folder"] for entry in book["individual"]] == ["01-a", "individual/02-b"]
    alone = book["individual"][1]
    assert (alone["state"], alone["growth"], alone["epochs"]) == ("done", "scratch", 0.2)
    assert book["stages"][1]["epochs"] == 0.1
    assert "baseline of stage 2" in (folder / "run" / "individual" / "02-b" / "README.md").read_text()
    assert largest_difference(folder / "run" / "02-b", folder / "run" / "individual" / "02-b") > 0.01
