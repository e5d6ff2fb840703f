"""What the fork server of `worlds` imports once for all worlds."""

import open_clip  # noqa: F401

from ray_compt.train.deepspeed_setup import import_deepspeed

import_deepspeed(cpu=True)
