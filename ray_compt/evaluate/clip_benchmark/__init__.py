"""Our models on the data sets of clip_benchmark, by clip_benchmark's own code: the optional extra `eval`.

`catalogue` says which names there are, `datasets` finds and opens what a name stands for, `tasks` runs one task on
it, `suite` runs them all. To take in a further task of clip_benchmark, give it a member of `catalogue.Task` and a
function in `tasks`. Nothing here downloads a data set; only a root that is a URL is read over the network.
"""

from ray_compt.evaluate.clip_benchmark.catalogue import GROUPS, Request, Task, choose
from ray_compt.evaluate.clip_benchmark.installed import require_clip_benchmark
from ray_compt.evaluate.clip_benchmark.model import Subject, open_subject
from ray_compt.evaluate.clip_benchmark.suite import Failure, evaluate_requests

__all__ = [
    "GROUPS",
    "Failure",
    "Request",
    "Subject",
    "Task",
    "choose",
    "evaluate_requests",
    "open_subject",
    "require_clip_benchmark",
]
