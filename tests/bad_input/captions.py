"""Caption files that cannot be read or joined, and folders that `compt data caption-merge` may not write to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bad_input.place import Place
from tests.bad_input.row import Chapter, Row
from tests.shards import make_shards, sample_key

NAME = "captions.csv"
GOOD = f"key,caption\n{sample_key(0, 0)},a cat\n"


def _row(
    name: str,
    title: str,
    place: str,
    *says: str,
    file: str = NAME,
    content: str | bytes | None = GOOD,
    options: tuple[str, ...] = (),
    before: Callable[[Place], object] = lambda at: None,
    out: str = "out",
) -> Row:
    """`compt data caption-merge` of one shard and a file of captions, after something happened in the folder."""

    def make(at: Place) -> list[str | Path]:
        make_shards(at.folder / "shards", n=1, per_shard=2)
        if content is not None:
            at.write(file, content)
        before(at)
        target = out if "://" in out else at.folder / out
        return ["data", "caption-merge", at.folder / "shards", at.folder / file, "--out", target, *options]

    return Row(f"captions-{name}", title, make, place, says)


def _merged_before(at: Place) -> None:
    from ray_compt.data.merge.files import Columns
    from ray_compt.data.merge.folder import merge_captions
    from ray_compt.data.merge.shard import Joining

    columns, joining = Columns("key", ("caption",)), Joining("key", "said")
    merge_captions(
        str(at.folder / "shards"), [str(at.folder / NAME)], str(at.folder / "out"), columns, joining
    )


CHAPTER = Chapter(
    "Captions",
    "`compt data caption-merge` names a line of the caption file, and never writes outside its own folder.",
    (
        _row("none", "No such caption file", NAME, "cannot read the captions", content=None),
        _row("ending", "Another kind of file", "captions.txt", ".parquet files", file="captions.txt"),
        _row("empty", "A file without rows", NAME, "there are no rows", content="key,caption\n"),
        _row("key", "No column that names pictures", NAME, "key or url", content="id,caption\n1,a cat\n"),
        _row("texts", "No column with captions", NAME, "after captions", content="key,text\n1,a cat\n"),
        _row("column", "A column, misspelt", NAME, "no column 'captoin'", options=("--captions", "captoin")),
        _row(
            "json",
            "A line that is no JSON",
            "captions.jsonl:2",
            "no JSON object",
            file="captions.jsonl",
            content='{"key": "1", "caption": "a cat"}\n{"key": \n',
        ),
        _row(
            "parquet",
            "A cut Parquet file",
            "captions.parquet",
            "no Parquet",
            file="captions.parquet",
            content="PAR1",
        ),
        _row(
            "quotes",
            "A quotation mark that is never closed",
            NAME,
            "malformed",
            content=GOOD + '"' + "2,a dog\n" * 20_000,
        ),
        _row(
            "full",
            "A folder with something else in it",
            "out",
            "something else here",
            before=lambda at: at.write("out/notes.txt", "mine"),
        ),
        _row("own", "The shards' own folder", "shards", "would be overwritten", out="shards"),
        _row("store", "An object store", "s3://bucket/out", "to a disk first", out="s3://bucket/out"),
        _row("other", "Other options than before", "out", "by other options", before=_merged_before),
    ),
)
