"""The chain: stages in order, the run folder and its ledger, resume.

`train_chain` runs one; `RunFolder` and `Ledger` read one. Must not import cli.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_compt.chain.run import train_chain

__all__ = ["train_chain"]


def __getattr__(name: str) -> Any:
    # Reading a ledger must not cost the import of Ray and torch.
    if name == "train_chain":
        from ray_compt.chain.run import train_chain

        return train_chain
    raise AttributeError(name)
