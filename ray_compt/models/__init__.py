"""CLIP models: from a name or an inline configuration to a module, its size, its cost and its files.

What to change here: the family's sizes (names.py), what an inline model may say (validate.py), how a model is
stored (store.py). Must not import Ray, training or data; torch and open_clip only inside functions, so that
`compt --help` stays fast.
"""

from __future__ import annotations

from ray_compt.models.ascending import check_ascending, check_teacher
from ray_compt.models.build import build_model, count_parameters
from ray_compt.models.configs import model_config, with_image_size
from ray_compt.models.exactness import check_exact
from ray_compt.models.macs import Macs, count_macs
from ray_compt.models.names import FAMILY, model_name
from ray_compt.models.pretrained import open_pretrained
from ray_compt.models.store import (
    check_state,
    load_config,
    load_metadata,
    load_preprocess,
    load_scale,
    load_state,
    save_model,
)
from ray_compt.models.tokenizer import make_tokenizer, token_counter

__all__ = [
    "FAMILY",
    "Macs",
    "build_model",
    "check_ascending",
    "check_exact",
    "check_state",
    "check_teacher",
    "count_macs",
    "count_parameters",
    "load_config",
    "load_metadata",
    "load_preprocess",
    "load_scale",
    "load_state",
    "make_tokenizer",
    "model_config",
    "model_name",
    "open_pretrained",
    "save_model",
    "token_counter",
    "with_image_size",
]
