"""Runs on a cluster, seen from elsewhere: what a submission contains, Ray's job server, how far a run is.

`open_work` and `submission` say what is sent, `connect` gives the job server, `read_status` a run's status. Must not
import cli; Ray only in client.py and following.py.
"""
