"""Where runs live: a local folder or an object store, behind one small set of operations.

`open_place` turns a path or URL into a `Place`; `steady_filesystem` opens a remote store with time-outs and
retries for pyarrow, Ray and fsspec; `JsonLines` is a file that grows, `lines_from_end` reads one backwards,
`read_lines` one that is in parts; `Scratch` is a temporary folder. Must not import any other room but config and
errors.
"""

from __future__ import annotations

from ray_compt.storage.lines import JsonLines, lines_from_end
from ray_compt.storage.parts import part_names, read_lines
from ray_compt.storage.place import LocalPlace, Place, WorkingCopy, is_url, open_place
from ray_compt.storage.scratch import Scratch

__all__ = [
    "JsonLines",
    "LocalPlace",
    "Place",
    "Scratch",
    "WorkingCopy",
    "is_url",
    "lines_from_end",
    "open_place",
    "part_names",
    "read_lines",
]
