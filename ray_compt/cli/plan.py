"""`compt plan`: what a chain will cost, before it runs; with --cluster, in hours and money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ray_compt.cli.options import ChainFile, JsonOutput, Overrides, Verbose

if TYPE_CHECKING:
    from ray_compt.config.schema import Chain, DataConfig
    from ray_compt.plan import ChainCost
    from ray_compt.plan.cluster import Assumptions, ClusterEstimate, Rates

# Shards of this many bytes together are walked in seconds.
SMALL = 1 << 30
MOST = 10**12


@dataclass(frozen=True)
class _Asked:
    """The options about a cluster, as `plan` takes them."""

    cluster: str | None
    workers: int | None
    node_type: str | None
    measured: str | None
    measured_on: str | None
    preemptions: float | None

    def refuse_stray(self) -> None:
        """Raises UserError for an option without the one that it belongs to."""
        from ray_compt.errors import UserError

        if self.measured_on is not None and self.measured is None:
            raise UserError("the device of which run?", where="--measured-on", mend="give --measured RUN too")
        about_cluster = ("workers", "node_type", "measured", "preemptions")
        stray = next((name for name in about_cluster if getattr(self, name) is not None), None)
        if self.cluster is None and stray:
            option = f"--{stray.replace('_', '-')}"
            raise UserError("on which cluster?", where=option, mend="give --cluster FILE too")


def plan(
    file: ChainFile,
    overrides: Overrides = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST, metavar="N", help="Training samples; by default counted in the shards."
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Configuration of `ray up`; also print hours and money on it.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST,
            metavar="N",
            help="With --cluster: workers of every stage; by default as many as chain and cluster file allow.",
        ),
    ] = None,
    node_type: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --cluster: node type of all workers; by default the one on which a stage costs least.",
            show_default=False,
        ),
    ] = None,
    measured: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="With --cluster: a run folder whose finished stages say how fast a worker computes.",
            show_default=False,
        ),
    ] = None,
    measured_on: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            help="Device of that run's workers (H100, L4, vCPU, ...); by default the cluster's.",
            show_default=False,
        ),
    ] = None,
    preemptions: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="RATE",
            help="With --cluster: spot nodes lost, of each node in an hour; by default 0.02.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Print the cost of every stage, the chain's share of its largest model, and the family's acceleration.

    With --cluster also the hours and the money that chain and individual training take there.
    """
    from ray_compt.cli.chain_file import open_chain
    from ray_compt.cli.output import print_json, print_table
    from ray_compt.plan import HEADER, plan_chain, rows, summary

    chain = open_chain(file, overrides)
    number, source = (samples, "--samples") if samples else count_samples(chain.data)
    cost = plan_chain(chain, number)
    asked = _Asked(cluster, workers, node_type, measured, measured_on, preemptions)
    found = _on_cluster(chain, cost, asked)
    if as_json:
        print_json(
            {**cost.to_json(), "samples_from": source} | ({"cluster": found.to_json()} if found else {})
        )
        return
    print_table(f"chain {chain.name} on {number:,} samples (from {source})", HEADER, rows(cost))
    print("\n".join(summary(cost)))
    if found:
        from ray_compt.plan.cluster import table

        print()
        print_table(f"on {found.cluster}", table.HEADER, table.rows(found))
        print("\n".join(table.summary(found)))


def _on_cluster(chain: Chain, cost: ChainCost, asked: _Asked) -> ClusterEstimate | None:
    """Hours and money; None where no cluster is given.

    Raises:
        UserError: what is asked of a cluster that is not given, or of a run that is not; a cluster file, run or device
            that does not serve.
    """
    from dataclasses import replace
    from functools import partial

    asked.refuse_stray()
    if asked.cluster is None:
        return None
    from ray_compt.plan.cluster import Assumptions, estimate, read_cluster

    given = Assumptions()
    if asked.preemptions is not None:
        given = replace(given, preemptions_per_hour=asked.preemptions)
    file = read_cluster(asked.cluster)
    on_cluster = partial(
        estimate, chain, cost, file, workers=asked.workers, node_type=asked.node_type, given=given
    )
    if asked.measured is None:
        return on_cluster()
    device = asked.measured_on or on_cluster().stages[0].device
    return on_cluster(rates=_measured_rates(asked.measured, device, given))


def _measured_rates(run: str, device: str, assumptions: Assumptions) -> Rates:
    from ray_compt.chain.folder import RunFolder
    from ray_compt.chain.speeds import read_speeds
    from ray_compt.plan.cluster import find_device, measure_rates
    from ray_compt.storage import open_place

    speeds = read_speeds(RunFolder(open_place(run)))
    return measure_rates(speeds, find_device(device, "--measured-on"), run, assumptions)


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
