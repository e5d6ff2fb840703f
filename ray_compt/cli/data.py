"""`compt data`: shards before training: index, stats, caption-merge."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ray_compt.cli.command import Command, Program
from ray_compt.cli.data_merge import caption_merge
from ray_compt.cli.options import JsonOutput, Verbose, one_or_all

if TYPE_CHECKING:
    from ray_compt.data import Index
    from ray_compt.data.statistics import Spread, Statistics

SAMPLES = 10_000
REASONS = 5
COLUMNS = ("", "least", "5 %", "median", "mean", "95 %", "most")

Shards = Annotated[
    list[str],
    typer.Argument(
        metavar="SHARDS...", help="As data.train names them: paths, URLs, patterns, builtin:digits/train."
    ),
]
CaptionField = Annotated[
    str, typer.Option(metavar="FIELD", help="JSON field with the list of captions, as data.caption_field.")
]
ClassField = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD", help="JSON field with a picture's class, as data.class_field.", show_default=False
    ),
]
Cache = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Folder or URL of the index: RUN/index for a run to come; by default the user's cache.",
        show_default=False,
    ),
]

app = typer.Typer(
    cls=Program,
    help="Shards before training: what is in them, and more captions for them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("caption-merge", cls=Command)(caption_merge)


@app.command("index", cls=Command)
def index(
    shards: Shards,
    cache: Cache = None,
    caption_field: CaptionField = "captions",
    class_field: ClassField = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Walk shards once, keep the index, and say what cannot be used; a run with that index starts at once."""
    from ray_compt.cli.output import print_json
    from ray_compt.data.samples import count_reasons

    found = _open(shards, cache, caption_field, class_field)
    reasons = dict(count_reasons(found.bad).most_common(REASONS))
    result = {
        "shards": len(found.shards),
        "samples": found.samples,
        "bad_samples": found.bad_samples,
        "reasons": reasons,
        "classes": len(found.class_names),
        "digest": found.digest,
    }
    if as_json:
        print_json(result)
        return
    print(f"{found.samples:,} samples in {len(found.shards):,} shards, digest {found.digest}")
    if found.class_names:
        print(f"{len(found.class_names):,} classes")
    _print_bad(found.bad_samples, reasons)


@app.command("stats", cls=Command)
def stats(
    shards: Shards,
    samples: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Samples to read and decode, spread evenly over the shards."),
    ] = SAMPLES,
    everything: Annotated[bool, typer.Option("--all", help="Read and decode all samples.")] = False,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="Whose tokenizer counts: a name, or a JSON or YAML file.")
    ] = "T",
    cache: Cache = None,
    caption_field: CaptionField = "captions",
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Describe a data set: sizes of pictures, captions and their length in tokens, broken samples, MB a sample."""
    from ray_compt.cli.grow import read_model
    from ray_compt.cli.output import print_json, progress_bar
    from ray_compt.data.statistics import data_statistics
    from ray_compt.errors import placed
    from ray_compt.models import model_config, token_counter
    from ray_compt.models.names import CONTEXT_LENGTH

    with placed(f"--model {model}"):
        config = model_config(read_model(model))
        count = token_counter(config)
    found = _open(shards, cache, caption_field, None)
    context = config["text_cfg"].get("context_length", CONTEXT_LENGTH)
    with progress_bar("samples") as progress:
        described = data_statistics(found, count, context, None if everything else samples, progress)
    if as_json:
        print_json(asdict(described))
    else:
        _print_statistics(described)


def _open(shards: list[str], cache: str | None, caption_field: str, class_field: str | None) -> Index:
    from ray_compt.cli.index_cache import index_cache
    from ray_compt.cli.output import progress_bar
    from ray_compt.config.schema import DataConfig
    from ray_compt.data import open_index

    spec = one_or_all(shards)
    data = DataConfig(train=spec, caption_field=caption_field, class_field=class_field)
    with progress_bar("shards") as progress:
        return open_index(spec, data, cache or str(index_cache()), on_progress=progress)


def _print_statistics(found: Statistics) -> None:
    from ray_compt.cli.output import print_table

    rows = [
        _row("width, pixels", found.width),
        _row("height, pixels", found.height),
        _row("picture, kB", found.picture_bytes, 1e-3, 1),
        _row("captions a picture", found.captions),
        _row("tokens a caption", found.tokens),
    ]
    size = f", {found.mb_per_sample:.3g} MB a sample" if found.mb_per_sample is not None else ""
    title = f"{found.samples:,} samples in {found.shards:,} shards{size}; {found.looked_at:,} looked at"
    print_table(title, COLUMNS, rows)
    print(f"{found.cut:.1%} of the captions are longer than the {found.context} tokens that the model reads")
    _print_bad(found.unindexed + found.undecodable, found.reasons)


def _row(name: str, spread: Spread | None, unit: float = 1.0, digits: int = 0) -> tuple[str, ...]:
    if spread is None:
        return (name, *["-"] * (len(COLUMNS) - 1))
    cells = [f"{unit * value:,.{digits}f}" for value in asdict(spread).values()]
    cells[3] = f"{unit * spread.mean:,.1f}"
    return (name, *cells)


def _print_bad(count: int, reasons: dict[str, int]) -> None:
    if count:
        listed = "; ".join(f"{reason} ({number:,})" for reason, number in reasons.items())
        print(f"{count:,} samples cannot be used: {listed}")
    else:
        print("every sample can be used")
