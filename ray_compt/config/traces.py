"""Keys of the chain file that leave no trace in a stage's result: another value, the same model and metrics."""

from __future__ import annotations

# How much runs at once, and what happens after a mishap (docs/reliability.md).
NO_TRACE_IN_TRAIN = frozenset({"micro_batch", "max_bad_steps", "checkpoint_every"})
# And where data lie: their content is known by the index's digest.
NO_TRACE_IN_DATA = frozenset({"train", "val", "samples", "reader_cpus", "max_bad_share"})
