"""`compt eval`: zero-shot accuracy and retrieval of trained models on a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_compt.cli.options import JsonOutput, Verbose
from ray_compt.errors import UserError, placed

if TYPE_CHECKING:
    from ray_compt.config.schema import DataConfig
    from ray_compt.data import Index

METRICS = {
    "zero_shot_top1": "zero-shot",
    "image_to_text_r1": "image→text R@1",
    "image_to_text_r5": "R@5",
    "image_to_text_r10": "R@10",
    "text_to_image_r1": "text→image R@1",
    "text_to_image_r5": "R@5",
    "text_to_image_r10": "R@10",
}


@dataclass(frozen=True)
class Subject:
    """A model to evaluate: its name in the table, and what `open_pretrained` takes."""

    name: str
    ref: str


def evaluate(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="A run folder (all its finished stages) or a stage's folder, path or URL, or an open_clip NAME/TAG.",
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHARDS",
            help="Path, URL, brace pattern, glob or builtin:digits/val; may be repeated. "
            "For a run folder by default its validation split.",
            show_default=False,
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, metavar="PIXELS", help="Picture size, if not the model's own.")
    ] = None,
    class_field: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="JSON field that holds a picture's class, for zero-shot."),
    ] = None,
    caption_field: Annotated[
        str | None, typer.Option(metavar="NAME", help="JSON field that holds a picture's captions.")
    ] = None,
    templates: Annotated[
        list[str] | None,
        typer.Option(
            "--template", metavar="TEXT", help="Zero-shot prompt with {} for the class; may be repeated."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Samples embedded at a time.")] = 256,
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="cpu, cuda, cuda:1; by default a GPU if there is one."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(metavar="NAME", help="clip_benchmark: evaluate on its data sets instead.")
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Data set of the suite, or paper, vtab+, retrieval, all; may be repeated, or separated by commas.",
        ),
    ] = None,
    dataset_root: Annotated[
        str | None,
        typer.Option(metavar="DIR|URL", help="Where its data sets lie, such as 'DIR/{dataset_cleaned}'."),
    ] = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Evaluate trained models: zero-shot classification and image-text retrieval."""
    from ray_compt.cli.index_cache import index_cache
    from ray_compt.cli.output import print_json, warn
    from ray_compt.data import open_index
    from ray_compt.storage import open_place

    device = choose_device(device)
    subjects = find_subjects(path)
    if suite or datasets or dataset_root:
        from ray_compt.cli.wide import evaluate_wide

        reads = {"--data": data, "--class-field": class_field, "--caption-field": caption_field}
        evaluate_wide(
            suite,
            subjects,
            datasets or (),
            dataset_root,
            contradicting=[name for name, value in {**reads, "--template": templates}.items() if value],
            image_size=image_size,
            batch=batch,
            device=device,
            as_json=as_json,
            verbose=verbose,
        )
        return
    given = {"class_field": class_field, "caption_field": caption_field, "class_templates": templates}
    shards, settings = choose_split(path, data, {key: value for key, value in given.items() if value})
    index = open_index(shards, settings, index_cache() if data else open_place(path) / "index")
    if index.bad_samples:
        warn(
            f"{index.bad_samples} samples cannot be used, the first in {index.bad[0].shard}: {index.bad[0].reason}"
        )
    if class_field and not index.class_names:
        raise UserError(
            f"no sample has a class in the JSON field {class_field!r}",
            where="--class-field",
            mend="correct the name, or leave the option out for retrieval alone",
        )
    results = [_evaluate(subject, index, settings, image_size, batch, device) for subject in subjects]
    if as_json:
        print_json({"data": shards, "models": results})
    else:
        _print(shards, results)


def find_subjects(path: str) -> list[Subject]:
    """The models that a run folder, a model's folder or a name stands for.

    Raises:
        UserError: a run without a finished stage.
    """
    from ray_compt.chain.ledger import Ledger
    from ray_compt.storage import is_url, open_place

    path = path.removeprefix("local-dir:")
    place = open_place(path)
    if not (place / "ledger.json").is_file():
        named = is_url(path) or not place.is_folder()
        return [Subject(path if named else Path(path).resolve().name, path)]
    ledger = Ledger.open(place / "ledger.json")
    done = [entry.folder for entry in ledger.stages + ledger.individual if entry.state == "done"]
    if not done:
        raise UserError(
            "no stage of this run is done yet", where=path, mend="wait for one, or give a stage's folder"
        )
    return [Subject(folder, str(place / folder)) for folder in done]


def choose_split(
    path: str, given_shards: Sequence[str] | None, given: dict[str, Any]
) -> tuple[str | list[str], DataConfig]:
    """Shards to evaluate on, and how to read them: the options over the run's own settings.

    Raises:
        UserError: no shards are given, and the path is no run folder with a validation split.
    """
    from ray_compt.config import load_chain
    from ray_compt.config.schema import DataConfig
    from ray_compt.storage import open_place

    chain_file = open_place(path) / "chain.yaml"
    settings = DataConfig(train="none")
    if chain_file.is_file():
        with chain_file.local() as file:
            settings = load_chain(file).data
    shards = _one_or_all(given_shards) if given_shards else settings.val
    if not shards:
        raise UserError(
            "no shards to evaluate on", where="--data", mend="give --data SHARDS or --data builtin:digits/val"
        )
    return shards, settings.model_copy(update=given)


def choose_device(name: str | None) -> str:
    """The device to evaluate on: a GPU if there is one, unless `name` says otherwise.

    Raises:
        UserError: torch cannot use it.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu" or (name.partition(":")[0] == "cuda" and _exists(name)):
        return name
    raise UserError(f"there is no device {name!r} here", where="--device", mend="give cpu, cuda or cuda:N")


def _exists(name: str) -> bool:
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        return False
    return True


def _one_or_all(shards: Sequence[str]) -> str | list[str]:
    return shards[0] if len(shards) == 1 else list(shards)


def _evaluate(
    subject: Subject, index: Index, settings: DataConfig, image_size: int | None, batch: int, device: str
) -> dict[str, Any]:
    from open_clip import get_model_preprocess_cfg

    from ray_compt.data import make_preprocess
    from ray_compt.evaluate import evaluate_model
    from ray_compt.models import open_pretrained

    with placed(subject.ref):
        model, config = open_pretrained(subject.ref, image_size)
    side = config["vision_cfg"].get("image_size", 224)
    own = get_model_preprocess_cfg(model)
    preprocess = make_preprocess(
        settings.model_copy(update={"image_size": side}), config, seed=0, mean=own["mean"], std=own["std"]
    )
    with placed(subject.ref):
        metrics = evaluate_model(
            model.to(device),
            config,
            index,
            preprocess,
            templates=settings.class_templates,
            batch=batch,
            device=device,
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"name": subject.name, "path": subject.ref, "parameters": parameters, "metrics": metrics}


def _print(spec: str | list[str], results: list[dict[str, Any]]) -> None:
    from ray_compt.cli.output import print_table
    from ray_compt.plan import format_count
    from ray_compt.report.terminal import percent

    shown = [key for key in METRICS if any(key in result["metrics"] for result in results)]
    rows = [
        [
            result["name"],
            format_count(result["parameters"]),
            *(percent(result["metrics"].get(key)) for key in shown),
        ]
        for result in results
    ]
    samples = int(results[0]["metrics"]["samples"])
    title = f"{samples:,} samples of {spec if isinstance(spec, str) else ', '.join(spec)}"
    print_table(title, ["model", "parameters", *(METRICS[key] for key in shown)], rows)
