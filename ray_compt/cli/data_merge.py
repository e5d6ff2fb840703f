"""`compt data caption-merge`: captions from files, joined with the pictures of shards."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ray_compt.cli.options import JsonOutput, Verbose


def caption_merge(
    shards: Annotated[
        str,
        typer.Argument(metavar="SHARDS", help="As data.train names them: path, URL, brace pattern, glob."),
    ],
    captions: Annotated[
        list[str],
        typer.Argument(metavar="CAPTIONS...", help="Files of captions: .csv, .tsv, .jsonl or .parquet."),
    ],
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder for the new shards; nothing is written elsewhere.")
    ],
    picture: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="COLUMN",
            help="Column that names the picture; by default key or url, whichever there is.",
            show_default=False,
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="What it names: key, the sample's key, or a field of KEY.json; by default key for a column of "
            "that name, else url.",
            show_default=False,
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--captions",
            metavar="COLUMN",
            help="Column with captions, or lists of them; may be repeated; by default all called after captions.",
            show_default=False,
        ),
    ] = None,
    sentences: Annotated[
        bool, typer.Option("--sentences", help="Make a caption of each sentence, as DreamLIP trains on.")
    ] = False,
    caption_field: Annotated[
        str, typer.Option(metavar="FIELD", help="JSON field that gets the captions: data.caption_field.")
    ] = "captions",
    drop: Annotated[
        bool, typer.Option("--drop-unmatched", help="Leave out pictures for which the files have no caption.")
    ] = False,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Write shards whose samples have the files' captions too; the same command again goes on where it stopped."""
    from ray_compt.cli.output import print_json, progress_bar, warn
    from ray_compt.data.merge.files import choose_columns
    from ray_compt.data.merge.folder import merge_captions
    from ray_compt.data.merge.shard import KEY, Joining

    chosen = choose_columns(captions[0], picture, columns, sentences=sentences)
    joining = Joining(match or (KEY if chosen.picture == KEY else "url"), caption_field, drop)
    with progress_bar("shards") as progress:
        merged = merge_captions(shards, captions, out, chosen, joining, progress)
    if not merged.total.matched:
        warn(f"no {joining.match} of a sample is in the column {chosen.picture!r}: see --id and --match")
    if as_json:
        print_json({"out": out, "columns": asdict(chosen), **asdict(merged)})
        return
    total = merged.total
    before = f", {merged.done:,} of them before" if merged.done else ""
    print(f"{merged.shards:,} shards written to {out}{before}")
    print(f"{total.matched:,} of {total.samples:,} pictures got {total.captions:,} captions")
    if total.damage:
        print(f"{total.damage:,} damaged places in the shards were left out")
