"""Ray's worker processes, forked from one that has imported everything already.

A process of Ray's takes seconds of CPU time to import torch, and a stage needs half a dozen of them, again after every
resize and every death. Here one server a node imports once and forks a process for each worker that Ray asks for, as
CPython's `multiprocessing.forkserver` does for its own processes. Ray starts its workers through `launcher.py`, which
the runtime environment's `py_executable` names; where the server cannot help, the launcher becomes a plain worker.
"""

from ray_compt.forkserver.command import available, plain_executable, py_executable
from ray_compt.forkserver.preload import preloading
from ray_compt.forkserver.threads import use_assigned_threads

__all__ = ["available", "plain_executable", "preloading", "py_executable", "use_assigned_threads"]
