"""`compt plan`: what a chain will cost, before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ray_compt.cli.options import ChainFile, JsonOutput, Overrides, Verbose

if TYPE_CHECKING:
    from ray_compt.config.schema import DataConfig

# Shards of this many bytes together are walked in seconds.
SMALL = 1 << 30
MOST = 10**12


def plan(
    file: ChainFile,
    overrides: Overrides = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST, metavar="N", help="Training samples; by default counted in the shards."
        ),
    ] = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Print the cost of every stage, the chain's share of its largest model, and the family's acceleration."""
    from ray_compt.cli.chain_file import open_chain
    from ray_compt.cli.output import print_json, print_table
    from ray_compt.plan import HEADER, plan_chain, rows, summary

    chain = open_chain(file, overrides)
    number, source = (samples, "--samples") if samples else count_samples(chain.data)
    cost = plan_chain(chain, number)
    if as_json:
        print_json({**cost.to_json(), "samples_from": source})
        return
    print_table(f"chain {chain.name} on {number:,} samples (from {source})", HEADER, rows(cost))
    print("\n".join(summary(cost)))


def count_samples(data: DataConfig) -> tuple[int, str]:
    """Number of training samples and where it comes from: the shards where that is cheap, else the chain file.

    Raises:
        UserError: neither says.
    """
    from ray_compt.errors import UserError

    try:
        counted = _count_in_shards(data)
    except UserError as error:
        counted, problem = None, error.message
    else:
        problem = "the shards are large and no sizes.json lies beside them"
    if counted:
        return counted
    if data.samples:
        return data.samples, "data.samples"
    raise UserError(
        f"the number of training samples is not known: {problem}",
        where="data.train",
        mend="give it with --set data.samples=N, or write data.samples into the chain file",
    )


def _count_in_shards(data: DataConfig) -> tuple[int, str] | None:
    """As `count_samples`, None where counting would mean walking through large shards."""
    from ray_compt.cli.index_cache import index_cache
    from ray_compt.data import open_index
    from ray_compt.data.named import named_source
    from ray_compt.data.patterns import find_shards

    if named_source(data.train) is not None:
        return open_index(data.train, data, index_cache()).samples, str(data.train)
    shards = find_shards(data.train)
    promised = _read_sizes({shard.url.rpartition("/")[0] for shard in shards})
    if all(shard.url in promised for shard in shards):
        return sum(promised[shard.url] for shard in shards), "sizes.json beside the shards"
    if sum(shard.size for shard in shards) <= SMALL:
        return open_index(data.train, data, index_cache()).samples, "the shards"
    return None


def _read_sizes(folders: set[str]) -> dict[str, int]:
    """Samples of each shard as the folders' sizes.json say; a folder without one is left out."""
    import json

    from ray_compt.data.filesystem import open_filesystem
    from ray_compt.errors import StorageError

    sizes: dict[str, int] = {}
    for folder in folders:
        filesystem, path = open_filesystem(f"{folder}/sizes.json")
        try:
            sizes |= {
                f"{folder}/{name}": int(count)
                for name, count in json.loads(filesystem.cat_file(path)).items()
            }
        except (OSError, StorageError, ValueError, TypeError, AttributeError, RecursionError):
            continue  # Absent, or a file of that name which holds something else.
    return sizes
