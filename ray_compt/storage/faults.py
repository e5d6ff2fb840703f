"""What a store's error means: whether trying again may help, and what the user can do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ray_compt.errors import RefusedError, StorageError

_MISSING = re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|Bucket '.*' not found", re.IGNORECASE)
_DENIED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|INVALID_CLIENT_TOKEN|SIGNATURE_DOES_NOT_MATCH|UNRECOGNIZED_CLIENT|"
    r"MISSING_AUTHENTICATION|EXPIRED_?TOKEN|INVALID_?TOKEN|AccessDenied|status (?:code )?40[13]\b",
    re.IGNORECASE,
)
# pyarrow's messages end with what helps only the store's owner.
_TAIL = re.compile(r"\s*\((?:Request ID|Detail)[^)]*\)?.*$|\s*Detail: .*$", re.DOTALL)
_CURL = re.compile(r"curlCode: \d+, .*?; Details: ")
_STATUS = re.compile(r"HTTP status \d+")


@dataclass(frozen=True)
class Fault:
    """Attributes: cause, mend: for the user; passing: whether trying again may help."""

    cause: str
    mend: str
    passing: bool

    def error(self, where: str) -> StorageError:
        """The exception to raise after the last try."""
        kind = StorageError if self.passing else RefusedError
        return kind(self.cause, where=where, mend=self.mend)


def find_fault(error: BaseException) -> Fault:
    """The fault behind a driver's exception; what is not known to be final counts as passing."""
    text = " ".join(str(error).split()) or type(error).__name__
    if _MISSING.search(text):
        return Fault("the bucket does not exist", "create it, or check its name and AWS_ENDPOINT_URL", False)
    if _DENIED.search(text):
        return Fault(
            "access is denied",
            "check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE) and the "
            "bucket's policy",
            False,
        )
    return Fault(
        f"the store does not answer as it should: {_reason(text)}",
        "check the network, AWS_REGION and AWS_ENDPOINT_URL; the same command goes on from where it stopped",
        True,
    )


def _reason(text: str) -> str:
    reason = _CURL.sub("", _TAIL.sub("", text).rpartition("operation: ")[2]).rstrip(".")
    status = _STATUS.search(text)
    return status[0] if status and reason == "No response body" else reason
