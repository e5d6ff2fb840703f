"""A run's data: both splits' indexes, the order of samples, and how a sample becomes tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_compt.chain.folder import RunFolder
from ray_compt.config.schema import Chain
from ray_compt.data import Index, Order, Preprocess, make_preprocess, open_index
from ray_compt.data.listing import save_listing
from ray_compt.data.order import chain_order
from ray_compt.errors import UserError
from ray_compt.evaluate.suites import Suite, open_suite
from ray_compt.evaluate.tasks import OpenOnce
from ray_compt.report.terminal import Terminal, plural
from ray_compt.storage import Place


@dataclass(frozen=True)
class Inputs:
    """What stages read.

    Attributes:
        chain: the chain file.
        train: index of the training split.
        val: index of the validation split; None: no evaluation.
    """

    chain: Chain
    train: Index
    val: Index | None

    def suite(self, cache: Place) -> Suite:
        """What every finished model is measured by; data that are not the run's own are indexed under `cache`.

        Raises:
            UserError: a mistake in the suite file, or data that do not fit a task.
        """
        opened = OpenOnce(cache)
        opened.add(self.chain.data.train, self.chain.data, self.train)
        if self.val is not None and self.chain.data.val:
            opened.add(self.chain.data.val, self.chain.data, self.val)
        return open_suite(self.chain.evaluate.suite, self.chain.data, True, opened)

    def order(self, global_batch: int) -> Order:
        return chain_order(self.chain, self.train.sizes, global_batch)

    def preprocess(self, model: dict[str, Any]) -> Preprocess:
        return make_preprocess(self.chain.data, model, seed=self.chain.seed)


def open_inputs(chain: Chain, folder: RunFolder, terminal: Terminal) -> Inputs:
    """Index both splits.

    Raises:
        UserError: shards are missing or empty, or too many of their samples cannot be used.
    """
    train = open_index(chain.data.train, chain.data, folder.index)
    save_listing(train, str(folder.index))
    val = open_index(chain.data.val, chain.data, folder.index) if chain.data.val else None
    held_out = f", {val.samples} validation samples" if val else ", no validation split"
    stages = plural(len(chain.stages), "stage")
    terminal.line(
        f"chain {chain.name}: {stages}, {train.samples} training samples{held_out}; run folder {folder.path}"
    )
    if val and chain.data.class_field and not val.class_names:
        terminal.warn(
            f"no validation sample has a class in {chain.data.class_field!r}: no zero-shot accuracy"
        )
    if train.bad:
        terminal.warn(f"{plural(train.bad_samples, 'training sample')} cannot be used, first {_named(train)}")
    share = train.bad_samples / (train.samples + train.bad_samples)
    if share > chain.data.max_bad_share:
        raise UserError(
            f"{train.bad_samples} of {train.samples + train.bad_samples} training samples cannot be used, more than "
            f"data.max_bad_share {chain.data.max_bad_share:g} allows; first {_named(train)}",
            where="data.train",
            mend="repair the shards, or raise data.max_bad_share",
        )
    return Inputs(chain, train, val)


def _named(index: Index) -> str:
    bad = index.bad[0]
    return f"{bad.key or 'unnamed'} in {bad.shard}: {bad.reason}"
