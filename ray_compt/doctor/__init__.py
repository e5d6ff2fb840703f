"""Whether a cluster, or this machine, can train a chain: paths, versions, resources and limits, looked at beforehand.

`examine.py` is the whole, `check_nodes` in it the quick part that comes before training; the files `judge_*.py` say
what is well, without Ray. Reads `train`, `data` and `storage`; must not import `chain`, `evaluate` or `cli`. What runs
on the nodes (`probe.py` and what it imports) loads neither torch nor Ray. A new check is a field of `facts.NodeFacts`
and a judge of it.
"""
