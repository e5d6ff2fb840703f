from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.report.published import code, without_credentials


@pytest.mark.parametrize(
    "reference",
    [
        "shards/{00000..00012}.tar",
        "/data/what?/user@host.tar",
        "builtin:digits/train",
        "s3://bucket/cc3m/{00000..00287}.tar",
        "s3://bucket/part-?/a@b.tar",
        "gs://bucket/*.tar",
    ],
)
def test_what_holds_no_secret_stays(reference: str):
    assert without_credentials(reference) == reference


@pytest.mark.parametrize(
    "reference, public",
    [
        ("s3://KEY:SECRET@bucket/a.tar", "s3://bucket/a.tar"),
        ("s3://KEY:SEC/RET@bucket/a.tar", "s3://bucket/a.tar"),
        ("https://SECRET@host/a.tar", "https://host/a.tar"),
        ("s3://bucket/a.tar?secret_key=SECRET&region=x", "s3://bucket/a.tar"),
        ("s3://bucket/part-?.tar?session_token=SECRET", "s3://bucket/part-?.tar"),
        ("https://host/a.tar?SECRET", "https://host/a.tar"),
        ("https://host/a.tar#SECRET", "https://host/a.tar"),
        ("simplecache::https://me:SECRET@host/a.tar?sig=SECRET", "simplecache::https://host/a.tar"),
    ],
)
def test_what_holds_a_secret_loses_it(reference: str, public: str):
    assert without_credentials(reference) == public


@given(st.text())
def test_code_is_one_line_whose_fence_the_text_does_not_close(text: str):
    written = code(text)
    fence = written[: len(written) - len(written.lstrip("`"))]
    inner = written[len(fence) : -len(fence)]
    assert written.endswith(fence) and fence not in inner
    assert "\n" not in written and inner.strip().split() == text.split()
