"""Grow one checkpoint from Python: a model twice as wide and deep that computes what it grew from.

    python -m examples.grow_one [FOLDER]

Needs neither Ray nor data, and takes seconds. `compt grow` does the same from the command line.
"""

from __future__ import annotations

from pathlib import Path

import torch
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, create_model

from examples.shapes import SIDE, main_folder, model
from ray_compt.growth import explain, grow
from ray_compt.models import build_model, load_config, load_state, save_model

NORMALISATION = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD}


def main(folder: Path) -> float:
    """Grow a model of folder/small into folder/large; returns the largest difference of any feature."""
    small, large = folder / "small", folder / "large"
    # Any checkpoint in open_clip's layout does; this one is untrained.
    save_model(small, build_model(model(32), seed=0).state_dict(), model(32), **NORMALISATION)

    source, target = load_config(small), model(64, layers=2)
    weights = grow(load_state(small), source, target, operator="lossless", seed=0)
    save_model(large, weights, target, **NORMALISATION)

    print(explain(source, target))
    pictures = torch.rand(8, 3, SIDE, SIDE)
    with torch.no_grad():
        features = [
            create_model(f"local-dir:{path}").eval().encode_image(pictures, normalize=True)
            for path in (small, large)
        ]
    difference = (features[0] - features[1]).abs().max().item()
    print(f"largest difference of their features: {difference:.1e}")
    return difference


if __name__ == "__main__":
    main(main_folder())
