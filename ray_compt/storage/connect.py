"""Opening a store: the pyarrow file system behind a URL, with time-outs."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray_compt.errors import UserError
from ray_compt.storage.deadline import within
from ray_compt.storage.faults import find_fault

# Seconds: to connect, without a single byte, and to find a bucket's region.
CONNECT_S, SILENCE_S, REGION_S = 2.0, 5.0, 10.0
TRIES = 3


@dataclass(frozen=True)
class StoreAddress:
    """How to reach a store; plain values, so that it travels to every worker.

    Attributes:
        protocol: of the URL.
        host: the bucket, or what else stands behind the protocol.
        endpoint: of an S3 service other than Amazon's, as HOST:PORT; None: Amazon's.
        scheme: of the endpoint, "http" or "https".
        region: of the bucket; None: what the AWS SDK finds.
    """

    protocol: str
    host: str
    endpoint: str | None = None
    scheme: str = "https"
    region: str | None = None


def find_address(url: str, environment: Mapping[str, str] = os.environ) -> StoreAddress:
    """The store of a URL; S3's endpoint and region come from the variables that AWS's own tools read.

    Raises:
        UserError: a URL without a bucket, or a bucket that does not exist.
    """
    protocol, _, rest = url.partition("://")
    host = rest.split("/", 1)[0]
    if protocol != "s3":
        return StoreAddress(protocol, host)
    if not host:
        raise UserError("the URL names no bucket", where=url, mend="write s3://BUCKET/PATH")
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    scheme, _, endpoint = endpoint.rpartition("://")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if region is None and not endpoint:
        region = _find_region(host, url)
    return StoreAddress(protocol, host, endpoint.rstrip("/") or None, scheme or "https", region)


@functools.lru_cache(maxsize=16)
def connect(address: StoreAddress) -> Any:
    """The pyarrow file system of a store, one for all of a process.

    pyarrow makes a new S3 client wait for every request that is under way, so there are to be few.

    Raises:
        UserError: no driver knows the protocol.
    """
    from pyarrow import fs

    if address.protocol == "s3":
        return fs.S3FileSystem(
            region=address.region,
            endpoint_override=address.endpoint,
            scheme=address.scheme,
            connect_timeout=CONNECT_S,
            request_timeout=SILENCE_S,
            # Each part of a large upload is tried again on its own; `Steady` repeats whole calls.
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
            # A small object becomes one put instead of a multipart upload of three requests.
            allow_delayed_open=True,
        )
    return _other(f"{address.protocol}://{address.host}")[0]


def inner_path(url: str) -> str:
    """The path of a URL inside its store, as pyarrow wants it."""
    protocol, _, rest = url.partition("://")
    return rest.strip("/") if protocol == "s3" else _other(url)[1]


def _other(url: str) -> tuple[Any, str]:
    import pyarrow as pa
    from fsspec.core import url_to_fs
    from pyarrow import fs

    try:
        return fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError):
        pass
    try:
        filesystem, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        protocol = url.partition("://")[0]
        raise UserError(
            f"cannot open {url!r}: {error}",
            mend=f"install fsspec's driver for {protocol}://, or use a local path or a URL such as s3://",
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


@functools.lru_cache(maxsize=64)
def _find_region(bucket: str, url: str) -> str | None:
    from pyarrow import fs

    try:
        return within(REGION_S, lambda: fs.resolve_s3_region(bucket))
    except OSError as error:
        fault = find_fault(error)
        if not fault.passing:
            raise fault.error(url) from error
        # The SDK has its own ways to find a region; where they fail too, the first request says why.
        return None
