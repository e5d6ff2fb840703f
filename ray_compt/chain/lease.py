"""One driver at a time where there are no locks: a file that its owner renews.

The file holds who owns it and a "beat", the time of its last renewal. An owner whose beat is old is dead, and so
is one on this host whose process is gone: the file is taken over. Of two drivers that start at the same moment,
the one that wrote last goes on. The clocks of two hosts may differ by a minute.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray_compt.errors import StorageError
from ray_compt.storage import Place

logger = logging.getLogger(__name__)

# A renewal may take as long as the store's retries do, and one may fail.
BEAT_S, STALE_S = 20.0, 120.0
# Both of two drivers that start at once have written by then.
SETTLE_S = 1.0


@contextmanager
def hold_lease(file: Place, me: dict[str, Any], refusal: Callable[[Any], Exception]) -> Iterator[None]:
    """Own `file` while the block runs.

    Args:
        me: "host", "pid" and "started" of this driver.
        refusal: makes the exception for the content of another's file.

    Raises:
        StorageError: the store cannot be reached.
    """
    holder = _read(file)
    if seems_alive(holder, me):
        raise refusal(holder)
    _renew(file, me)
    time.sleep(SETTLE_S)
    holder = _read(file)
    if _owner(holder) != _owner(me):
        raise refusal(holder)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(file, me, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        _release(file)


def _beat(file: Place, me: dict[str, Any], ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        try:
            _renew(file, me)
        except StorageError as error:
            logger.warning("the lease cannot be renewed (%s)", error.message)


def _renew(file: Place, me: dict[str, Any]) -> None:
    file.write_text(json.dumps({**me, "beat": time.time()}))


def _release(file: Place) -> None:
    try:
        file.remove()
    except StorageError as error:
        logger.warning("the lease cannot be given back (%s); it ends by itself", error.message)


def _read(file: Place) -> Any:
    try:
        return json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _owner(holder: Any) -> tuple[Any, ...] | None:
    return tuple(holder.get(key) for key in ("host", "pid", "started")) if isinstance(holder, dict) else None


def seems_alive(holder: Any, me: dict[str, Any]) -> bool:
    """Whether the owner in a file runs: on the host of `me` by its process, elsewhere by its beat."""
    try:
        if holder["host"] == me["host"]:
            return _runs(int(holder["pid"]))
        return time.time() - float(holder["beat"]) < STALE_S
    except (KeyError, TypeError, ValueError):
        return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
