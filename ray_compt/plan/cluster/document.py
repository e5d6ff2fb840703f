"""The predicted tables of docs/scaling.md.

    python -m ray_compt.plan.cluster.document

`tests/plan/cluster/test_document.py` holds the page against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ray_compt.plan.cluster.assumptions import Assumptions
from ray_compt.plan.cluster.devices import DEVICES
from ray_compt.plan.cluster.instances import INSTANCES, Instance
from ray_compt.plan.cluster.memory import loss_bytes
from ray_compt.plan.cluster.scales import Scale, ScaledStep, scaled_step
from ray_compt.plan.cluster.step import feature_bytes
from ray_compt.plan.cluster.table import format_dollars, format_hours, format_seconds

GIVEN = Assumptions()
H100, L4 = INSTANCES["aws"]["p5.48xlarge"], INSTANCES["aws"]["g6.12xlarge"]
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
MODEL = "ViT-B-16"
# Samples: CC12M and LAION as far as they could be downloaded; batches and epochs: open_clip's own runs.
SCALES = (
    Scale("CC12M", 11_000_000, 32, 8_192),
    Scale("LAION-400M", 400_000_000, 32, 32_768),
    Scale("LAION-2B", 2_300_000_000, 16, 81_920),
)
# Rates of open_clip's trainer on JUWELS Booster (4 A100 with 40 GB and 4 x 200 Gbit/s a node): the table of trained
# models beside arXiv 2212.07143 (huggingface.co/mehdidc/test, trained_models_info.csv). Model, GPUs, samples on each,
# samples/s.
BOOSTER = replace(INSTANCES["aws"]["p4d.24xlarge"], name="JUWELS Booster", devices=4, network_gbit=800.0)
PUBLISHED = (
    ("open_clip:ViT-B-32", 128, 256, 108_845),
    ("open_clip:ViT-B-32", 128, 672, 52_724),
    ("open_clip:ViT-B-32", 344, 256, 219_759),
    ("ViT-B-16", 344, 256, 136_371),
    ("open_clip:ViT-L-14", 768, 112, 60_328),
    ("open_clip:ViT-L-14", 1024, 84, 79_116),
)
BATCHES = (32_768, 65_536, 98_304, 131_072, 163_840)
LOSS_WORKERS = (32, 128, 512)


def page() -> str:
    """All tables, in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for instance in (H100, L4):
        yield from (f"{MODEL} on `{instance.name}` nodes, {_describe(instance)}:", "")
        yield from _workers_table(instance)
        yield ""
    yield from (f"A whole training of {MODEL} on 512 H100 (`{H100.name}`):", "")
    yield from _scales_table()
    yield from ("", f"The loss of {MODEL} on `{H100.name}` nodes:", "")
    yield from _loss_table()
    yield from (
        "",
        "The trainer of open_clip on up to 1,024 A100 with 40 GB, as published, and what is predicted of ours:",
        "",
    )
    yield from _published_table()
    yield from ("", "Devices, dense peaks:", "")
    yield from _devices_table()


def _describe(instance: Instance) -> str:
    gpus = f"{instance.devices} {instance.device.name}"
    return f"{gpus} each, {instance.network_gbit:,.0f} Gbit/s, {instance.vcpus:g} vCPUs"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (header, ["---"] * len(header), *rows):
        yield f"| {' | '.join(row)} |"


def _workers_table(instance: Instance) -> Iterator[str]:
    """A row a number of workers: samples/s at the batch of each scale, the share of linear, what holds it up."""
    header = ["workers", *(f"{scale.name}, batch {scale.batch:,}" for scale in SCALES)]
    rows = [[str(workers), *_cells(instance, workers)] for workers in WORKERS]
    return _table(header, rows)


def _cells(instance: Instance, workers: int) -> Iterator[str]:
    for scale in SCALES:
        one = scaled_step(MODEL, scale.batch, instance, 1, given=GIVEN)
        found = scaled_step(MODEL, scale.batch, instance, workers, given=GIVEN)
        yield f"{found.samples_s:,.0f}, {found.samples_s / workers / one.samples_s:.0%}: {_held_up(found)}"


def _held_up(found: ScaledStep) -> str:
    if found.micro_batch == 0:
        return "does not fit"
    return found.time.bottleneck + (", forward twice" if found.micro_batch < found.share else "")


def _scales_table() -> Iterator[str]:
    header = [
        "data",
        "samples",
        "epochs",
        "batch",
        "step",
        "hours",
        "$ on demand",
        "reading",
        "threads left",
        "held up by",
    ]
    rows = []
    for scale in SCALES:
        found = scaled_step(MODEL, scale.batch, H100, 512, given=GIVEN)
        hours = scale.epochs * (scale.samples // scale.batch) * found.time.total / 3600
        need = f"{found.need.megabytes_s:,.0f} MB/s, {found.need.cores:,.0f} threads"
        counts = [f"{scale.samples / 1e6:,.0f} M", str(scale.epochs), f"{scale.batch:,}"]
        money = format_dollars(hours * found.nodes * H100.price)
        time = [format_seconds(found.time.total), format_hours(hours), money]
        rows.append([scale.name, *counts, *time, need, f"{found.threads:,.0f}", _held_up(found)])
    return _table(header, rows)


def _loss_table() -> Iterator[str]:
    header = ["global batch", "features", *(f"{workers} workers" for workers in LOSS_WORKERS)]
    header += [f"logits on one of {LOSS_WORKERS[0]}"]
    rows = []
    for batch in BATCHES:
        row = [f"{batch:,}", f"{feature_bytes(batch, 1, 512) / 1e6:,.0f} MB"]
        row += [_loss_cell(batch, workers) for workers in LOSS_WORKERS]
        rows.append([*row, f"{loss_bytes(batch, LOSS_WORKERS[0], 1) / 1e9:,.1f} GB"])
    return _table(header, rows)


def _loss_cell(batch: int, workers: int) -> str:
    time = scaled_step(MODEL, batch, H100, workers, given=GIVEN).time
    share = (time.features + time.loss) / time.total
    return f"{format_seconds(time.features)} + {format_seconds(time.loss)}, {share:.0%}"


def _published_table() -> Iterator[str]:
    header = ["model", "GPUs", "global batch", "published samples/s", "predicted", "predicted over published"]
    rows = []
    for model, workers, each, published in PUBLISHED:
        found = scaled_step(model, workers * each, BOOSTER, workers, given=GIVEN).samples_s
        counts = [str(workers), f"{workers * each:,}", f"{published:,}", f"{found:,.0f}"]
        rows.append([model.removeprefix("open_clip:"), *counts, f"{found / published:.1f}"])
    return _table(header, rows)


def _devices_table() -> Iterator[str]:
    header = [
        "device",
        "fp32 TFLOP/s",
        "bf16",
        "fp16",
        "memory GB",
        "GB/s",
        "to its neighbours GB/s",
        "source",
    ]
    rows = []
    for device in DEVICES.values():
        peaks = [
            f"{device.peak[name] / 1e12:g}" if name in device.peak else "-"
            for name in ("fp32", "bf16", "fp16")
        ]
        memory = f"{device.memory / 1e9:g}" if device.memory else "the node's"
        speeds = [f"{value / 1e9:g}" for value in (device.bandwidth, device.link)]
        rows.append([device.name, *peaks, memory, *speeds, device.source])
    return _table(header, rows)


if __name__ == "__main__":
    print(page(), end="")
