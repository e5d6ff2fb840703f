"""`compt eval`: zero-shot accuracy and retrieval of trained models on a split, or the tasks of a suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_compt.cli.options import JsonOutput, Verbose, one_or_all
from ray_compt.errors import UserError

if TYPE_CHECKING:
    from ray_compt.config.schema import DataConfig
    from ray_compt.evaluate import OpenOnce, Suite


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
    suite: Annotated[
        str | None,
        typer.Option(
            metavar="core|clip_benchmark|FILE",
            help="core: also a linear probe and nearest neighbours, with intervals; clip_benchmark: its data sets; "
            "FILE: the tasks of a suite file.",
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
    batch: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Samples embedded at a time; halved by itself where memory is short."
        ),
    ] = 256,
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="cpu, cuda, cuda:1; by default a GPU if there is one."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            envvar="RAY_ADDRESS",
            help="Ray cluster that embeds, or auto; by default this process does, without Ray.",
            show_default=False,
        ),
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
    """Evaluate trained models: zero-shot classification, image-text retrieval, and the tasks of a suite."""
    from ray_compt.cli.eval_models import evaluate_subjects
    from ray_compt.cli.eval_output import print_metrics, print_tasks
    from ray_compt.cli.output import print_json

    device = choose_device(device)
    subjects = find_subjects(path)
    if suite == "clip_benchmark" or datasets or dataset_root:
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
    settings = choose_split(path, data, {key: value for key, value in given.items() if value}, suite)
    chosen = choose_suite(path, suite, settings, own_split=not data)
    if class_field and settings.val and not any(task.classes for task in chosen.tasks):
        raise UserError(
            f"no sample has a class in the JSON field {class_field!r}",
            where="--class-field",
            mend="correct the name, or leave the option out for retrieval alone",
        )
    with _cluster(address, verbose):
        results = evaluate_subjects(
            subjects, chosen, image_size, batch, device, on_cluster=address is not None, quiet=as_json
        )
    if as_json:
        named = {"data": settings.val} if suite is None else {"suite": chosen.name, "seed": chosen.seed}
        print_json({**named, "models": results})
    elif suite is None:
        print_metrics(settings.val or "", results)
    else:
        print_tasks(chosen.name, results)


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
    path: str, given_shards: Sequence[str] | None, given: dict[str, Any], suite: str | None = None
) -> DataConfig:
    """The data to evaluate on, `val`, and how to read them: the options over the run's own settings.

    Raises:
        UserError: no shards are given, the path is no run folder with a validation split, and no suite names any.
    """
    from ray_compt.config import load_chain
    from ray_compt.config.schema import DataConfig
    from ray_compt.storage import open_place

    chain_file = open_place(path) / "chain.yaml"
    settings = DataConfig(train="none")
    if chain_file.is_file():
        with chain_file.local() as file:
            settings = load_chain(file).data
    shards = one_or_all(given_shards) if given_shards else settings.val
    if not shards and suite in (None, "core"):
        raise UserError(
            "no shards to evaluate on", where="--data", mend="give --data SHARDS or --data builtin:digits/val"
        )
    return settings.model_copy(update={**given, "val": shards})


def choose_suite(path: str, suite: str | None, settings: DataConfig, *, own_split: bool) -> Suite:
    """The tasks, with their data opened; a run's own splits have their indexes in the run folder.

    Args:
        path: as given to the command.
        suite: None, core or a file.
        settings: of `choose_split`.
        own_split: `settings.val` is the run's own, so that its training split belongs to it.

    Raises:
        UserError: data that cannot be read, or a mistake in the suite file.
    """
    from ray_compt.cli.index_cache import index_cache
    from ray_compt.cli.output import warn
    from ray_compt.evaluate import OpenOnce, open_suite
    from ray_compt.storage import open_place

    opened = OpenOnce(index_cache())
    has_train = False
    if own_split and settings.val:
        of_run = OpenOnce(open_place(path) / "index")
        opened.add(settings.val, settings, of_run(settings.val, settings))
        has_train = suite == "core" and _open_train(settings, of_run, opened)
    chosen = open_suite(suite, settings, has_train, opened)
    for index in {split.name: split.index for task in chosen.tasks for split in task.splits}.values():
        if index.bad_samples:
            first = index.bad[0]
            warn(f"{index.bad_samples} samples cannot be used, the first in {first.shard}: {first.reason}")
    for note in chosen.notes:
        warn(note)
    return chosen


def _open_train(settings: DataConfig, of_run: OpenOnce, opened: OpenOnce) -> bool:
    """Whether the run's training split is still there, to learn probes from."""
    from ray_compt.cli.output import warn

    try:
        opened.add(settings.train, settings, of_run(settings.train, settings))
    except UserError as error:
        warn(f"no linear probe and no k-NN, because the training split cannot be read: {error.message}")
        return False
    return True


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


@contextmanager
def _cluster(address: str | None, verbose: bool) -> Iterator[None]:
    """Connected to the Ray cluster, where one is given."""
    if address is None:
        yield
        return
    from ray_compt.train.cluster import connected

    with connected(address, verbose=verbose):
        yield
