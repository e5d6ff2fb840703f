"""What people see: the terminal's progress bar and lines, and the closing table.

`Terminal` prints; `Board` carries events from workers to the driver. Must not import train, chain or cli.
"""
