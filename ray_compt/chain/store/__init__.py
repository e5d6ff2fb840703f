"""The stage store: finished stages by what their result depends on, so that no run trains one twice.

`key.py` names a stage, `store.py` keeps it, `reuse.py` is what a run does with it. Chains that begin alike share their
first stages, in one sweep or in any number of runs.
"""
