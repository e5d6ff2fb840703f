"""The sweep: many trials of a chain over a space of keys and compositions, what they reached and what they cost.

`check` turns a sweep file (`config/sweep_file.py`) into a `plan` of `candidate`s: compositions (`composition`) and
values of the space (`space`). `running/` trains them on Ray Tune. `record` keeps the trials, `scores` and `choice` rank
them by the `objective`, `importance` says which keys mattered, `prefixes` which stages were shared; `live`, `closing`
and `html/` show them, `best` makes the winner a chain file. Must not import cli.
"""
