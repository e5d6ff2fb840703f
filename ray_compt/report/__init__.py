"""What people see: the terminal's progress bar and lines, and the closing table.

`Terminal` prints; `Board` carries events from workers to the driver; `model_card` describes a model. Must not import train, chain or cli.
"""
