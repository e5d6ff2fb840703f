"""Opening the trackers that a run asks for, and going on with the service's own run where there was one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_compt.errors import UserError
from ray_compt.report.track.fan_out import Trackers
from ray_compt.report.track.mlflow_tracker import open_mlflow
from ray_compt.report.track.tracker import Tracked, Tracker
from ray_compt.report.track.wandb_tracker import open_wandb
from ray_compt.storage import Place

FILE = "tracking.json"
OPENERS: dict[str, Callable[[Tracked], Tracker]] = {"wandb": open_wandb, "mlflow": open_mlflow}


def open_trackers(
    services: Sequence[str], run: Place, name: str, config: Mapping[str, Any], warn: Callable[[str], None]
) -> Trackers:
    """Open services in order; tracking.json in the run folder keeps under which identity each knows the run.

    Args:
        services: keys of `OPENERS`.
        run: the run folder.
        name: of the chain.
        config: the resolved chain file without credentials, plain data.
        warn: takes a line about a service that fails later on.

    Raises:
        UserError: a library is missing, or a service does not answer or refuses us.
    """
    if not services:
        return Trackers()
    known = _identities(run)
    opened = []
    for service in dict.fromkeys(services):
        try:
            tracker = OPENERS[service](Tracked(name, config, known.get(service)))
        except ImportError as error:
            raise UserError(
                f"the library of {service} is not installed ({error})",
                where=f"--track {service}",
                mend=f"pip install 'ray_compt[{service}]'",
            ) from error
        # Whatever a service's library raises: training has not begun, so the user had better know now.
        except Exception as error:
            raise UserError(
                f"{service} cannot be opened ({' '.join(str(error).split())[:300]})",
                where=f"--track {service}",
                mend="mend its settings (docs/tracking.md), or leave --track out",
            ) from error
        known[service] = tracker.identity
        opened.append(tracker)
    (run / FILE).write_text(json.dumps(known, indent=1))
    return Trackers(opened, warn)


def _identities(run: Place) -> dict[str, str]:
    """Of earlier starts; none where the file is absent or damaged, which only means runs of their own."""
    try:
        stored = json.loads((run / FILE).read_text())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    pairs = stored.items() if isinstance(stored, dict) else ()
    return {name: identity for name, identity in pairs if isinstance(identity, str)}
