"""Sweeps: many chains from one sweep file, searched for what is best or cheapest.

`check_sweep` (check.py) turns a loaded sweep file into a `SweepPlan`: the legal compositions, the parameters, and a resolved chain
for any of their combinations. What is pure here (all but `models.py`) imports neither torch nor Ray nor Optuna.
"""
