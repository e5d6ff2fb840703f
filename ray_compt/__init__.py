"""ray_compt: elastic Chain-of-Models Pre-Training on Ray."""

__version__ = "0.1.0"
