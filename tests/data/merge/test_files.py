from __future__ import annotations

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from ray_compt.data.merge.files import Columns, choose_columns, column_names, read_captions
from ray_compt.errors import UserError

ROWS = [
    {"url": "http://a/1.jpg", "raw_caption": "a cat, sitting", "long_captions": ["It is grey.", " "]},
    {"url": "http://a/2.jpg", "raw_caption": 'a "dog"\nin two lines', "long_captions": []},
    {"url": "", "raw_caption": "of no picture", "long_captions": []},
    {"url": "http://a/3.jpg", "raw_caption": None, "long_captions": None},
]
READ = [
    ("http://a/1.jpg", ["a cat, sitting", "It is grey."]),
    ("http://a/2.jpg", ['a "dog"\nin two lines']),
]
BOTH = Columns("url", ("raw_caption", "long_captions"))


def _json_lines(tmp_path):
    file = tmp_path / "captions.jsonl"
    file.write_text("\n\n".join(map(json.dumps, ROWS)))
    return file


def _parquet(tmp_path):
    file = tmp_path / "captions.parquet"
    parquet.write_table(pa.Table.from_pylist(ROWS), file)
    return file


@pytest.mark.parametrize("write", [_json_lines, _parquet])
def test_a_cell_may_hold_a_list_of_captions(tmp_path, write):
    assert list(read_captions(str(write(tmp_path)), BOTH)) == READ


@pytest.mark.parametrize("ending, separator", [("csv", ","), ("tsv", "\t"), ("CSV", ",")])
def test_separated_columns(tmp_path, ending, separator):
    file = tmp_path / f"captions.{ending}"
    lines = [
        ("url", "raw_caption", "long_captions"),
        ("http://a/1.jpg", '"a cat, sitting"', "It is grey."),
        ("http://a/2.jpg", '"a ""dog""\nin two lines"', ""),
    ]
    # Excel's byte order mark belongs to no name.
    file.write_text("\ufeff" + "\n".join(map(separator.join, lines)))
    assert list(read_captions(str(file), BOTH)) == READ


def test_numbers_name_pictures_too(tmp_path):
    file = tmp_path / "captions.jsonl"
    file.write_text('{"key": 17, "caption": "a cat"}')
    assert list(read_captions(str(file), Columns("key", ("caption",)))) == [("17", ["a cat"])]


def test_captions_are_cut_into_sentences(tmp_path):
    file = tmp_path / "captions.csv"
    file.write_text('key,caption\n1,"A cat. It is 3.5 kg. \nNo, e.g. a dog!</s>"\n')
    columns = Columns("key", ("caption",), sentences=True)
    assert list(read_captions(str(file), columns)) == [("1", ["A cat.", "It is 3.5 kg.", "No, e.g. a dog!"])]


def test_columns_are_chosen_by_their_names(tmp_path):
    file = tmp_path / "captions.csv"
    file.write_text("Image Path,raw_caption,score,longSV_captions\nhttp://a,x,1,y\n")
    chosen = choose_columns(str(file), "Image Path", None, sentences=True)
    assert chosen == Columns("Image Path", ("raw_caption", "longSV_captions"), True)
    assert choose_columns(str(file), "raw_caption", ["score"], sentences=False).captions == ("score",)
    file.write_text("url,key,caption\n1,2,3\n")
    assert choose_columns(str(file), None, None, sentences=False) == Columns("key", ("caption",))


def test_columns_of_json_lines_may_be_missing_in_the_first(tmp_path):
    file = tmp_path / "captions.jsonl"
    file.write_text('{"key": "1"}\n{"key": "2", "caption": "a cat"}')
    assert column_names(str(file)) == ["key", "caption"]


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("a.txt", "1 2", "captions are read from"),
        ("a.csv", "", "there are no rows"),
        ("a.csv", "a,b\n1,2", "no column is called key or url"),
        ("a.csv", "key,b\n1,2", "no column is called after captions"),
        ("a.jsonl", "{}\n[1]", "no JSON object"),
        ("a.jsonl", "{" * 100_000, "no JSON object"),
        ("a.parquet", "PAR", "no Parquet file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=says) as error:
        choose_columns(str(tmp_path / name), None, None, sentences=False)
    assert str(tmp_path / name) in str(error.value.where)


def test_a_stray_quotation_mark_is_named_by_its_line(tmp_path):
    file = tmp_path / "captions.csv"
    file.write_text("key,caption\n1,a\n" + '2,"never closed' + "\n3,abcdefgh" * 20_000)
    with pytest.raises(UserError, match="malformed") as error:
        list(read_captions(str(file), Columns("key", ("caption",))))
    assert str(error.value.where).startswith(f"{file}:")


def test_a_column_that_is_not_there_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("key,caption\n1,2\n")
    with pytest.raises(UserError, match="no column 'captoin'; there are: key, caption"):
        list(read_captions(str(tmp_path / "a.csv"), Columns("key", ("captoin",))))
    with pytest.raises(UserError, match="cannot read the captions"):
        list(read_captions(str(tmp_path / "b.csv"), Columns("key", ("caption",))))
