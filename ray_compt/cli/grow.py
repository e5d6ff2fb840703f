"""`compt grow`: a trained checkpoint becomes the initial weights of a larger model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ray_compt.cli.options import JsonOutput, Verbose
from ray_compt.errors import UserError, placed

LARGEST_SEED = 2**32 - 1


def grow(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CKPT",
            help="A stage's folder, an open_clip NAME/TAG, or a checkpoint file together with --from.",
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="MODEL",
            help="Model to grow to: a name, or a JSON or YAML file with its configuration.",
        ),
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder to write, which open_clip loads.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="MODEL", help="Model of a checkpoint file: a name, or a file."),
    ] = None,
    operator: Annotated[
        str, typer.Option(metavar="NAME", help="lossless, clone, lemon, embed, official_slice or random.")
    ] = "lossless",
    image_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="PIXELS", help="Picture size of the larger model, if not its own."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of everything drawn.")] = 0,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Grow a trained model into a larger one that computes the same, where the operator is lossless."""
    from open_clip import get_model_preprocess_cfg

    from ray_compt.cli.output import print_json
    from ray_compt.growth import explain
    from ray_compt.growth import grow as grow_weights
    from ray_compt.models import count_parameters, model_config, model_name, open_pretrained, save_model

    _refuse_to_overwrite(out)
    target_choice = read_model(target)
    with placed(f"--to {target}"):
        target_config = model_config(target_choice, image_size)
        parameters = count_parameters(target_config)
    source_choice = read_model(source) if source else None
    with placed(checkpoint):
        model, source_config = open_pretrained(checkpoint.removeprefix("local-dir:"), model=source_choice)
    with placed(f"{checkpoint} --to {target}"):
        growth = explain(source_config, target_config, operator)
    weights = grow_weights(model.state_dict(), source_config, target_config, operator, seed)
    preprocess = get_model_preprocess_cfg(model)
    save_model(
        out,
        weights,
        target_config,
        mean=preprocess["mean"],
        std=preprocess["std"],
        metadata={"grown_from": checkpoint, "growth": str(growth)},
    )
    result = {
        "out": out,
        "model": model_name(target_choice),
        "parameters": parameters,
        "parameters_before": count_parameters(source_config),
        "operators": growth.operators,
        "lossless": growth.lossless,
        "notes": growth.notes,
    }
    if as_json:
        print_json(result)
    else:
        _print(result)


def read_model(choice: str) -> str | dict[str, Any]:
    """A model's name as it is, or the configuration in a JSON or YAML file.

    Raises:
        UserError: the file is absent or holds no configuration.
    """
    from ray_compt.config.yaml_io import LARGEST_TEXT, read_yaml

    path = Path(choice)
    if path.suffix not in (".json", ".yaml", ".yml"):
        return choice
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST_TEXT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            where=choice,
            mend="give a model's name, or a JSON or YAML file with embed_dim, vision_cfg and text_cfg",
        ) from error
    # JSON is YAML too; one reader keeps the lines of both.
    node = read_yaml(text, lambda line: f"{path}:{line}")
    config = node.plain() if node is not None and node.mapping else {}
    # open_clip's exports wrap the configuration.
    config = config.get("model_cfg", config)
    if not config or not isinstance(config, dict):
        raise UserError(
            "holds no model configuration",
            where=choice,
            mend="write embed_dim, vision_cfg and text_cfg into it",
        )
    return config


def _refuse_to_overwrite(out: str) -> None:
    from ray_compt.models.store import WEIGHTS_FILE
    from ray_compt.storage import open_place

    place = open_place(out)
    try:
        found = "a model" if (place / WEIGHTS_FILE).is_file() else "something else"
        taken = place.is_file() or bool(place.names())
    except OSError as error:
        raise UserError(
            f"cannot be written: {error.strerror}", where=out, mend="give another --out"
        ) from error
    if taken:
        raise UserError(
            f"there is {found} here already", where=out, mend="give another --out, or remove it first"
        )


def _print(result: dict[str, Any]) -> None:
    from ray_compt.plan import format_count

    towers = ", ".join(f"{tower} tower {operator}" for tower, operator in result["operators"].items())
    kept = "lossless: it computes what it grew from" if result["lossless"] else "not lossless"
    sizes = f"{format_count(result['parameters_before'])} to {format_count(result['parameters'])} parameters"
    print(f"{result['model']}: {sizes}, {kept} ({towers})")
    for note in result["notes"]:
        print(f"  {note}")
    print(f"written to {result['out']}; open_clip loads it as local-dir:{result['out']}")
