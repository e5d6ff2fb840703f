"""A picture's captions: where they are found, and which of them are drawn for a step."""

from __future__ import annotations

import json
import re
from typing import Any

from ray_compt.data.randomness import permutation, stream_key

# img2dataset writes the raw caption both as KEY.txt and under this field.
RAW_FIELD = "caption"
_SENTENCE_END = re.compile(r"([.!?][\"'”’)\]]*)\s+(?=[^a-z\s])")


def parse_description(content: bytes | None) -> dict[str, Any]:
    """The object in KEY.json; {} where there is none or it cannot be read (the caption may be in KEY.txt)."""
    if content is None:
        return {}
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def find_captions(text: bytes | None, description: dict[str, Any], caption_field: str) -> list[str]:
    """Every caption of a picture without doubles or blanks, the raw one first; [] where there is none.

    Args:
        text: content of KEY.txt.
        description: content of KEY.json.
        caption_field: field of `description` that holds the list of captions, or one caption.
    """
    listed = description.get(caption_field, [])
    found = [
        (text or b"").decode("utf-8", "replace"),
        description.get(RAW_FIELD),
        *(listed if isinstance(listed, list) else [listed]),
    ]
    stripped = (clean(caption) for caption in found if isinstance(caption, str))
    return list(dict.fromkeys(caption for caption in stripped if caption))


def draw_captions(captions: list[str], count: int, seed: int, epoch: int, key: str) -> list[str]:
    """The `count` captions that a picture is trained with in one epoch.

    One caption is drawn uniformly from all. From two on, the raw caption always comes first and the others are
    drawn without replacement, as the paper trains with the raw caption and 6 sentences; too few are repeated in
    the drawn order.

    Args:
        captions: at least one, the raw one first.
    """
    if count == 1:
        return [captions[stream_key(seed, epoch, key, "caption") % len(captions)]]
    others = captions[1:] or captions
    drawn = [others[i] for i in permutation(len(others), seed, epoch, key, "caption")]
    return [captions[0], *(drawn[i % len(drawn)] for i in range(count - 1))]


def find_label(description: dict[str, Any], class_field: str | None) -> str | None:
    """The picture's class name, None where the data has no classes."""
    value = description.get(class_field) if class_field else None
    return clean(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def split_sentences(text: str) -> list[str]:
    """The sentences of a caption, its line breaks taken for ends of sentences too.

    A sentence ends at `.`, `!` or `?` (and closing quotes or brackets) before white space and something other than a
    small letter, so that 3.5 and "e.g. a cat" stay whole. `</s>`, which some captioning models leave behind, ends one.
    """
    parts = _SENTENCE_END.sub(r"\1\n", text.replace("</s>", "\n")).splitlines()
    return [part for part in map(str.strip, parts) if part]


def clean(text: str) -> str:
    """A text without white space around it that every tokenizer can encode."""
    # JSON can spell half a surrogate pair, which neither Arrow nor a tokenizer can encode.
    return text.encode("utf-8", "replace").decode("utf-8").strip()
