"""A store that fails now and then costs time; one that fails for good ends with one message, in bounded time."""

from __future__ import annotations

import time

import pytest

from ray_compt.errors import RefusedError, StorageError
from ray_compt.storage import open_place
from ray_compt.storage.connect import find_address
from ray_compt.storage.deadline import within
from ray_compt.storage.faults import find_fault
from tests.s3 import S3, always, every, keys

pytestmark = pytest.mark.usefixtures("impatient")


def test_errors_and_cut_replies_are_lived_through(s3: S3) -> None:
    place = open_place("s3://bucket/run")
    s3.plan = every(3, "error", "cut", "slow")
    for number in range(8):
        (place / f"f{number}").write_text(f"content {number} " * 100)
    for number in range(8):
        assert (place / f"f{number}").read_text() == f"content {number} " * 100
    with place.local() as folder:
        assert len(list(folder.iterdir())) == 8
    assert len(place.names()) == 8
    place.remove()
    assert keys(s3, "run/f") == []
    assert min(s3.done[fault] for fault in ("error", "cut", "slow")) > 1


@pytest.mark.parametrize("fault", ["error", "cut", "stall", "drip"])
def test_a_persistent_failure_is_one_message(s3: S3, fault: str) -> None:
    place = open_place("s3://bucket/run") / "ledger.json"
    place.write_text("x" * 1000)
    s3.plan = lambda number, method, path: fault if method == "GET" else None
    with pytest.raises(StorageError) as caught:
        place.read_text()
    assert not isinstance(caught.value, RefusedError)
    assert caught.value.where == "s3://bucket/run/ledger.json"
    assert "does not answer as it should" in caught.value.message
    assert "AWS_ENDPOINT_URL" in caught.value.mend
    assert s3.done[fault] == 3


def test_denied_access_is_said_at_once(s3: S3) -> None:
    place = open_place("s3://bucket/run") / "x"
    place.write_text("x")
    s3.plan = always("denied")
    for use in (place.read_text, place.is_file, (open_place("s3://bucket/run")).names):
        with pytest.raises(RefusedError, match="access is denied"):
            use()
    with pytest.raises(RefusedError, match="access is denied"):
        place.write_text("y")


def test_a_missing_bucket_is_said_at_once(s3: S3) -> None:
    with pytest.raises(RefusedError, match="the bucket does not exist") as caught:
        (open_place("s3://no-such-bucket/run") / "x").write_text("x")
    assert caught.value.where == "s3://no-such-bucket/run/x"


def test_an_endpoint_that_nobody_serves_is_said(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="127.0.0.1"):
        (open_place("s3://bucket/run") / "x").write_text("x")


def test_an_object_is_put_whole_or_not_at_all(s3: S3) -> None:
    place = open_place("s3://bucket/run") / "big"
    place.write_bytes(b"old")
    s3.plan = lambda number, method, path: "error" if method in ("PUT", "POST") else None
    with pytest.raises(StorageError):
        place.write_bytes(bytes(12 << 20))
    assert place.read_bytes() == b"old"
    s3.plan = every(8, "error")
    place.write_bytes(bytes(12 << 20))
    assert len(place.read_bytes()) == 12 << 20


def test_endpoint_and_region_come_from_amazons_variables() -> None:
    environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9/", "AWS_DEFAULT_REGION": "eu-west-1"}
    address = find_address("s3://b/x/y", environment)
    assert (address.host, address.endpoint, address.scheme) == ("b", "127.0.0.1:9", "http")
    assert address.region == "eu-west-1"
    environment |= {"AWS_ENDPOINT_URL_S3": "https://store.example", "AWS_REGION": "us-west-2"}
    address = find_address("s3://b", environment)
    assert (address.endpoint, address.scheme, address.region) == ("store.example", "https", "us-west-2")
    assert find_address("s3://b", {"AWS_REGION": "x"}).endpoint is None


@pytest.mark.parametrize(
    ("text", "passing", "cause"),
    [
        ("AWS Error NO_SUCH_BUCKET during PutObject operation: x (Request ID: 1)", False, "bucket"),
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", False, "denied"),
        ("AWS Error UNKNOWN (HTTP status 403) during HeadObject operation: No response.", False, "denied"),
        ("AWS Error INVALID_ACCESS_KEY_ID during ListObjectsV2 operation: x", False, "denied"),
        ("AWS Error UNKNOWN (HTTP status 503) during X operation: No response body.", True, ": HTTP status 503"),
        (
            "When x: AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect to "
            "server; Details: Failed to connect to h:1 after 0 ms: Could not connect to server",
            True,
            ": Failed to connect to h:1 after 0 ms: Could not connect to server",
        ),
        ("", True, ": OSError"),
    ],
)  # fmt: skip
def test_faults_are_told_apart(text: str, passing: bool, cause: str) -> None:
    fault = find_fault(OSError(text))
    assert fault.passing == passing
    assert cause in fault.cause


def test_a_call_that_takes_too_long_is_left_behind() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"0.05 s"):
        within(0.05, lambda: time.sleep(20))
    assert within(20, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(20, lambda: {}["x"])
    assert time.monotonic() - started < 20
