"""Sweeps: many chains from one sweep file, searched for what is best or cheapest.

`check_sweep` (check.py) turns a loaded sweep file into a `SweepPlan` (plan.py): the legal compositions, the parameters,
and a resolved chain for any of their combinations. All of that is pure but for `models.py`, which imports torch inside.
"""
