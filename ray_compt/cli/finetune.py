"""`compt finetune`: fine-tune a trained model's image tower on labelled pictures."""

from __future__ import annotations

from contextlib import nullcontext
from enum import Enum
from typing import Annotated

import typer

from ray_compt.cli.driving import driving
from ray_compt.cli.options import JsonOutput, TrainingCluster, Verbose, one_or_all


class HeadChoice(str, Enum):
    """What the head begins as."""

    ZERO_SHOT = "zero-shot"
    ZEROS = "zeros"


def finetune(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A stage's folder or URL, or an open_clip NAME/TAG."),
    ],
    data: Annotated[
        list[str],
        typer.Option(metavar="SHARDS", help="Labelled training shards, as data.train; may be repeated."),
    ],
    val: Annotated[
        list[str], typer.Option(metavar="SHARDS", help="Labelled validation shards; may be repeated.")
    ],
    run_dir: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="Folder or URL of the result; the same command again goes on in it."
        ),
    ],
    class_field: Annotated[
        str | None, typer.Option(metavar="NAME", help="JSON field that holds a picture's class.")
    ] = None,
    templates: Annotated[
        list[str] | None,
        typer.Option(
            "--template", metavar="TEXT", help="Prompt of the zero-shot head with {} for the class."
        ),
    ] = None,
    epochs: Annotated[
        float, typer.Option(metavar="N", help="Passes over the training data, above 0.")
    ] = 10.0,
    head: Annotated[HeadChoice, typer.Option(help="What the head begins as.")] = HeadChoice.ZERO_SHOT,
    label_smoothing: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="Share of the target spread over all classes."),
    ] = 0.0,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any key of train, workers, data and seed, e.g. --set train.lr=3e-5; may be repeated.",
        ),
    ] = None,
    address: TrainingCluster = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Fine-tune a model on labelled pictures; the same command again goes on where it stopped."""
    from rich.console import Console

    from ray_compt.chain.finetune import Asked, finetune_model, open_source
    from ray_compt.cli.output import print_json
    from ray_compt.forkserver import preloading

    model = model.removeprefix("local-dir:")
    given = {"train": one_or_all(data), "val": one_or_all(val), "class_field": class_field}
    keys = {**given, **({"class_templates": templates} if templates else {})}
    source, chain = open_source(model, keys, epochs, overrides or ())
    console = Console(stderr=as_json, highlight=False)
    asked = Asked(model, head.value, label_smoothing)
    with preloading() if address is None else nullcontext(), driving():
        found = finetune_model(
            asked, source, chain, run_dir, address=address, console=console, verbose=verbose
        )
    if as_json:
        print_json(found)
