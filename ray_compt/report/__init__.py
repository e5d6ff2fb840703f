"""What people see: the terminal's progress bar and lines, the closing table, and the model card of a stage.

`Terminal` prints; `Board` carries events from workers to the driver; `model_card` describes a model. Must not
import train, chain or cli.
"""
