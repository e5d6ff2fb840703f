"""The peer of `benchmarks.elastic`: a loop as Ray Train's documentation teaches it, elastic, with checkpoints.

    python -m benchmarks.peers.ray_train ADDRESS LOG

The same model and data as ours; the log gets one JSON line a step.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

CHECKPOINT_EVERY = 20
GLOBAL_BATCH = 64


def train_loop(config: dict[str, Any]) -> None:
    import ray.train
    import torch
    from open_clip.model import CLIP
    from sklearn.datasets import load_digits

    from tests.integration.harness import tiny_model

    world, rank = ray.train.get_context().get_world_size(), ray.train.get_context().get_world_rank()
    model = ray.train.torch.prepare_model(CLIP(**tiny_model(64, layers=2), nonscalar_logit_scale=True))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    step = _restore(ray.train.get_checkpoint(), model, optimizer)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1).repeat(1, 3, 1, 1) / 16
    tokens = torch.tensor(digits.target)[:, None].repeat(1, 10)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images, tokens), batch_size=GLOBAL_BATCH // world, shuffle=True
    )
    loader = ray.train.torch.prepare_data_loader(loader)
    while True:
        for image, text in loader:
            image_features, text_features, scale = model(image, text)
            logits = scale * image_features @ text_features.T
            target = torch.arange(len(image))
            loss = torch.nn.functional.cross_entropy(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if rank == 0:
                with open(config["log"], "a") as log:
                    log.write(json.dumps({"time": time.time(), "step": step, "workers": world}) + "\n")
            if step % CHECKPOINT_EVERY == 0:
                _save(model, optimizer, step, rank)


def _save(model: Any, optimizer: Any, step: int, rank: int) -> None:
    import ray.train
    import torch

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = None
        if rank == 0:
            weights = getattr(model, "module", model).state_dict()
            state = {"model": weights, "optimizer": optimizer.state_dict(), "step": step}
            torch.save(state, os.path.join(folder, "state.pt"))
            checkpoint = ray.train.Checkpoint.from_directory(folder)
        ray.train.report({"step": step}, checkpoint=checkpoint)


def _restore(checkpoint: Any, model: Any, optimizer: Any) -> int:
    import torch

    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        state = torch.load(os.path.join(folder, "state.pt"), weights_only=True)
    getattr(model, "module", model).load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def main() -> None:
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    address, log = sys.argv[1:]
    ray.init(address=address)
    scaling = ScalingConfig(
        num_workers=(1, 2), resources_per_worker={"CPU": 1}, elastic_resize_monitor_interval_s=1
    )
    run = RunConfig(storage_path=os.path.dirname(log), failure_config=FailureConfig(max_failures=100))
    TorchTrainer(train_loop, train_loop_config={"log": log}, scaling_config=scaling, run_config=run).fit()


if __name__ == "__main__":
    main()
