"""The sweep: many trials of a chain over a space of keys and compositions, what they reached and what they cost.

`record` keeps the trials, `objective` ranks them, `importance` says which keys mattered, `prefixes` which stages were
shared; `live` and `html/` show them, `best` makes the winner a chain file. Must not import cli.
"""
