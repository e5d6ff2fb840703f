"""What runs on every node: one look at the machine and at the paths. JSON in, JSON out: versions may differ."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from ray_compt.doctor.facts import NodeFacts, this_machine
from ray_compt.doctor.reach import Mark, Sample, Unreached, unreached


def request(samples: Sequence[Sample], marks: Sequence[Mark]) -> str:
    """What `look` is to look at."""
    return json.dumps(
        {"samples": [vars(sample) for sample in samples], "marks": [vars(mark) for mark in marks]}
    )


def look(asked: str, me: str) -> str:
    """This machine's answer to a `request`; `me` names the node."""
    wanted = json.loads(asked)
    samples = [Sample(**sample) for sample in wanted["samples"]]
    marks = [Mark(**mark) for mark in wanted["marks"]]
    missing = unreached(samples, marks, me)
    return json.dumps({"facts": this_machine().to_json(), "unreached": [path.to_json() for path in missing]})


def read(answer: str) -> tuple[NodeFacts, list[Unreached]]:
    """What `look` saw. Raises ValueError, KeyError or TypeError: another version of it wrote the answer."""
    found = json.loads(answer)
    return NodeFacts.from_json(found["facts"]), [Unreached(**path) for path in found["unreached"]]


def clock() -> float:
    """Seconds since the epoch, as this machine has them."""
    return time.time()
