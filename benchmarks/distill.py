"""What each kind of distillation does for the stage that follows its teacher (docs/distillation.md).

    python -m benchmarks.distill --data DIR [--epochs TEACHER STAGE] [--seeds N] [--json OUT]

DIR holds `train/*.tar` and `val/*.tar`. The first two models of the shipped chain `emoji` are trained: for every seed
the teacher once, then the stage after it with each kind at its full weight, and without distillation. All stages of a
seed start from copies of one run folder, so they differ in the loss alone. Printed are retrieval R@1, the mean of both
directions, and what each kind gains over the stage of the same seed without a teacher.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ray_compt.config import Chain, load_chain
from ray_compt.config.load import dump_chain
from ray_compt.distill.settings import FULL_WEIGHTS

TEACHER, NONE = "teacher", "none"
SETTINGS = {NONE: "{weight: 0}"} | {
    kind: f"{{kind: {kind}, weight: {weight}, stop_at: 1, decay: none}}"
    for kind, weight in FULL_WEIGHTS.items()
}
# Retrieval of each seed, by what was trained.
Scores = dict[str, list[float]]


def main() -> None:
    options = _options()
    scores: Scores = {}
    with tempfile.TemporaryDirectory(prefix="distill") as folder:
        for seed in range(options.seeds):
            for name, score in _seed(options, seed, Path(folder) / str(seed)).items():
                scores.setdefault(name, []).append(score)
    print("\n".join(table(scores)))
    if options.json:
        Path(options.json).write_text(json.dumps(scores, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with train/ and val/")
    parser.add_argument(
        "--epochs",
        type=float,
        nargs=2,
        default=[12, 3],
        metavar=("TEACHER", "STAGE"),
        help="passes over the data",
    )
    parser.add_argument("--seeds", type=int, default=2, help="seeds 0, 1, ...")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of compt train")
    parser.add_argument("--json", metavar="OUT", help="write every seed's retrieval there")
    return parser.parse_args()


def _seed(options: argparse.Namespace, seed: int, folder: Path) -> dict[str, float]:
    """One teacher and every stage after it; retrieval of each."""
    taught = folder / TEACHER
    found = {TEACHER: _train(_chain(options, seed, NONE, stages=1), taught)}
    for name in SETTINGS:
        run = Path(shutil.copytree(taught, folder / name))
        found[name] = _train(_chain(options, seed, name, stages=2), run)
        shutil.rmtree(run)
        print(f"seed {seed}, {name}: {found[name]:.1%} (teacher {found[TEACHER]:.1%})", flush=True)
    return found


def _chain(options: argparse.Namespace, seed: int, name: str, stages: int) -> Chain:
    """The first stages of the shipped chain, the second with the settings of this name."""
    data = options.data.absolute()
    overrides = [
        f"seed={seed}",
        f'data.train="{data}/train/*.tar"',
        f'data.val="{data}/val/*.tar"',
        *(f"stages.{place}.epochs={epochs}" for place, epochs in enumerate(options.epochs)),
        f"stages.1.transfer.distill={SETTINGS[name]}",
        *options.set,
    ]
    chain = load_chain("emoji", overrides)
    return chain.model_copy(update={"stages": chain.stages[:stages]})


def _train(chain: Chain, run: Path) -> float:
    """Retrieval of the chain's last stage, the stages that the run folder has already being kept."""
    file = run.with_suffix(".yaml")
    run.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dump_chain(chain))
    command = [sys.executable, "-m", "ray_compt", "train", str(file), "--run-dir", str(run), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return retrieval(json.loads(done.stdout)["stages"][-1]["metrics"])


def retrieval(metrics: dict[str, float]) -> float:
    """Recall at 1, the mean of both directions."""
    return statistics.mean((metrics["image_to_text_r1"], metrics["text_to_image_r1"]))


def table(scores: Scores) -> list[str]:
    """Markdown: mean and range over the seeds of retrieval, and of the gain over the same seed's without a teacher."""
    lines = ["| distillation | weight | retrieval R@1 | gain, points |", "|---|---|---|---|"]
    for name, values in scores.items():
        gains = [100 * (value - without) for value, without in zip(values, scores[NONE])]
        weight = "" if name == TEACHER else f"{FULL_WEIGHTS.get(name, 0):.3g}"
        gain = "" if name in (TEACHER, NONE) else _spread(gains, "+.1f")
        lines.append(f"| {name} | {weight} | {_spread(values, '.1%')} | {gain} |")
    return lines


def _spread(values: Sequence[float], form: str) -> str:
    mean, low, high = statistics.mean(values), min(values), max(values)
    return f"{mean:{form}} ({low:{form}} to {high:{form}})"


if __name__ == "__main__":
    main()
