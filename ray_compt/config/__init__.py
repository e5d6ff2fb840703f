"""The chain file: its keys, how it is read, merged, overridden and compared, and its errors.

Every other room may import this one; it imports only `ray_compt.errors`, pydantic and ruamel.yaml, never
torch, Ray or open_clip, so that the command line starts fast.
"""

from ray_compt.config.compare import ABSENT, Difference, compare_chains
from ray_compt.config.load import (
    LoadedChain,
    dump_chain,
    find_chain,
    load_chain,
    make_chain,
    read_chain,
    shipped_chains,
)
from ray_compt.config.schema import Chain, ModelChoice, StageConfig

__all__ = [
    "ABSENT",
    "Chain",
    "Difference",
    "LoadedChain",
    "ModelChoice",
    "StageConfig",
    "compare_chains",
    "dump_chain",
    "find_chain",
    "load_chain",
    "make_chain",
    "read_chain",
    "shipped_chains",
]
