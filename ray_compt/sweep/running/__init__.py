"""Running a sweep on Ray Tune.

`driver.py` is the whole, from the driver; `trial.py` trains a candidate's trials in a process of the cluster's;
`queue.py` says which candidate is next, by way of `searcher.py`; `pruning.py` ends trials that others are better than,
through the board of `stop.py`; `recorder.py` keeps sweep.json true. A trial is an ordinary run folder, so that whatever
breaks, the same command goes on from the files.
"""
