"""What people see: the terminal's progress bar and lines, the closing table, model cards, the report of a run.

`Terminal` prints; `Board` carries events from workers to the driver; `model_card` describes a model; `html/` draws
runs; `track/` passes scalars on to experiment trackers. Must not import train, chain or cli.
"""
