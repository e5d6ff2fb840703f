"""Which examples are shown, and what they say."""

from __future__ import annotations

import base64
import io

import torch
from PIL import Image

from ray_compt.report.html.examples import SIDE, Seen, choose_examples, few_samples, thumbnail


def seen(similarity: list[list[float]], own: list[int]) -> Seen:
    captions = [f"caption {number}" for number in range(len(similarity[0]))]
    return Seen([f"picture {n}" for n in range(len(own))], captions, own, torch.tensor(similarity))


def test_answers_come_nearest_first_and_say_whether_they_are_right() -> None:
    found = choose_examples(seen([[0.9, 0.1, 0.5], [0.8, 0.2, 0.1], [0.0, 0.1, 0.7]], [0, 1, 2]), "large")
    assert (found.model, found.looked_at, found.captions) == ("large", 3, 3)
    first = found.image_to_text[0]
    assert (first.thumbnail, first.right, first.rank) == ("picture 0", True, 1)
    assert [(a.caption, a.right) for a in first.answers] == [
        ("caption 0", True),
        ("caption 2", False),
        ("caption 1", False),
    ]
    wrong = found.image_to_text[-1]
    assert (wrong.caption, wrong.right, wrong.rank) == ("caption 1", False, 2)


def test_a_caption_asks_for_any_of_its_pictures() -> None:
    found = choose_examples(seen([[0.1, 0.9], [0.8, 0.0], [0.2, 0.5]], [0, 0, 1]), "m")
    right = next(example for example in found.text_to_image if example.caption == "caption 0")
    assert right.right and right.answers[0].thumbnail == "picture 1"
    other = next(example for example in found.text_to_image if example.caption == "caption 1")
    assert (other.right, other.rank) == (False, 2)


def test_a_model_whose_features_are_all_alike_finds_nothing() -> None:
    found = choose_examples(seen([[0.5, 0.5]] * 2, [0, 1]), "m")
    assert not any(example.right for example in (*found.image_to_text, *found.text_to_image))
    assert not found.image_to_text[0].answers[0].right


def test_right_ones_come_first_and_of_the_wrong_ones_the_most_certain() -> None:
    rows = [[0.9, 0.0]] * 10 + [[0.5 + number / 100, 0.0] for number in range(10)]
    found = choose_examples(seen(rows, [0] * 10 + [1] * 10), "m", shown=3).image_to_text
    assert [example.right for example in found] == [True] * 3 + [False] * 3
    assert [example.thumbnail for example in found[:3]] == ["picture 0", "picture 3", "picture 6"]
    assert [example.thumbnail for example in found[3:]] == ["picture 19", "picture 18", "picture 17"]


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_small_picture_stays_as_it_is_and_a_large_one_becomes_small() -> None:
    pixels = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    small = thumbnail(pixels)
    assert small.startswith("data:image/png;base64,")
    assert torch.equal(torch.tensor(list(decoded(small).getdata())).T.reshape(3, 16, 16), pixels.long())
    large = thumbnail(torch.randint(0, 256, (3, 224, 224), dtype=torch.uint8))
    assert large.startswith("data:image/jpeg;base64,") and decoded(large).size == (SIDE, SIDE)
    assert len(large) < 12_000


def test_few_samples_lie_evenly_in_the_split(tmp_path) -> None:
    from ray_compt.config.schema import DataConfig
    from ray_compt.data import open_index
    from tests.shards import make_shards, sample_key

    make_shards(tmp_path / "shards", n=6, per_shard=4)
    index = open_index(str(tmp_path / "shards"), DataConfig(train="none"), tmp_path / "cache")
    keys = [raw.key for raw in few_samples(index, most=6, shards=3)]
    assert keys == [sample_key(shard, number) for shard in (0, 2, 4) for number in (0, 1)]
