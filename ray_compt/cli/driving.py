"""What a command that trains does around the training: signals, and leaving Ray at the end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TERMINATED = 128 + signal.SIGTERM
STOPPED = "stopped; what was trained is kept, and the same command goes on from the last checkpoint"


@contextmanager
def driving() -> Iterator[None]:
    """Stop cleanly on SIGTERM, leave Ray at the end, and say how to go on where somebody stopped us."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(STOPPED) from None
    except SystemExit:
        # SIGTERM's. Where it broke off one of Ray's calls, Ray has put an exit code of its own in.
        print(STOPPED, file=sys.stderr)
        raise SystemExit(TERMINATED) from None
    finally:
        _disconnect()


def _terminate(_signal: int, _frame: Any) -> None:
    raise SystemExit(TERMINATED)


def _disconnect() -> None:
    """Leave Ray: what we started ends here, and nothing of ours stays on a cluster."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
