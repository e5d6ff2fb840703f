"""Chain files whose keys or values are wrong."""

from __future__ import annotations

from typing import Any

from tests.bad_input.place import model
from tests.bad_input.row import Chapter, Row


def _keys(name: str, title: str, place: str, says: str | tuple[str, ...], /, **changes: Any) -> Row:
    says = (says,) if isinstance(says, str) else says
    return Row(f"key-{name}", title, lambda at: at.train(**changes), place, says)


SAME_NAME = [{"name": "x", "model": model(width), "epochs": 1} for width in (16, 32)]

CHAPTER = Chapter(
    "Chain files: keys and values",
    "Every wrong key of a file is named at once, before anything starts. What each key takes: "
    "[chain_file.md](chain_file.md).",
    (
        _keys("unknown", "An unknown key", "chain.yaml:9", "train.warmup: unknown key", train={"warmup": 1}),
        _keys("section", "An unknown section", "chain.yaml:40", "did you mean train?", trian={"lr": 1}),
        _keys(
            "elsewhere", "A key of another section", "chain.yaml:7", "write it in train", data={"lr": 1e-3}
        ),
        Row(
            "key-missing",
            "No data",
            lambda at: at.train_text("name: x\nstages: [{model: S, epochs: 1}]\n"),
            "chain.yaml:1",
            ("data: missing",),
        ),
        _keys("no-stages", "No stages", "chain.yaml:9", "stages: expected a list of sections", stages=[]),
        _keys(
            "stage-text", "A name for a stage", "chain.yaml:10", "with model and epochs", stages=["ViT-S-16"]
        ),
        _keys("text", "A text for a number", "chain.yaml:9", "without quotes", train={"lr": "1e-3"}),
        _keys("true", "True for a number", "chain.yaml:8", "found true", train={"global_batch": True}),
        _keys("mapping", "A mapping for a text", "chain.yaml:3", "found a mapping", data={"train": {"a": 1}}),
        _keys("nan", "Not a number", "chain.yaml:9", "found nan", train={"lr": float("nan")}),
        _keys("infinite", "An infinite number", "chain.yaml:9", "found inf", train={"lr": float("inf")}),
        _keys("negative", "A negative number", "chain.yaml:9", "above 0, found -1.0", train={"lr": -1.0}),
        _keys("huge-lanes", "A billion lanes", "chain.yaml:6", "at most 65536", data={"lanes": 10**9}),
        _keys("huge-seed", "A seed of 30 digits", "chain.yaml:40", "at most 4294967295", seed=10**30),
        _keys(
            "huge-picture", "Pictures of 20,000 pixels", "chain.yaml:5", "8192", data={"image_size": 20_000}
        ),
        _keys(
            "huge-wait",
            "A time-out beyond all clocks",
            "chain.yaml:41",
            "10000000",
            workers={"timeout_s": 1e300},
        ),
        _keys("slash", "A name with slashes", "chain.yaml:1", "made of letters", name="../../x"),
        _keys("long-name", "A name of 300 letters", "chain.yaml:1", "at most 100 long", name="x" * 300),
        _keys("same-name", "Two stages of one name", "chain.yaml:25", "is called x too", stages=SAME_NAME),
        _keys("open", "A value left open", "chain.yaml:3", "has no value yet", data={"train": "???"}),
        _keys(
            "no-shards", "An empty text for the shards", "chain.yaml:3", "names no shards", data={"train": ""}
        ),
        _keys(
            "lanes",
            "Lanes that do not divide the batch",
            "chain.yaml:8",
            "each of 7 lanes",
            data={"lanes": 7},
        ),
        _keys(
            "workers",
            "Workers that do not divide the lanes",
            "chain.yaml:41",
            "use one of 1, 2, 4",
            workers={"min": 3},
        ),
        _keys(
            "range",
            "Fewer workers at most than at least",
            "chain.yaml:42",
            "below min 4",
            workers={"min": 4, "max": 2},
        ),
        _keys("draws", "No epochs to draw", "chain.yaml:7", "1 or more", data={"augment_epochs": 0}),
        _keys(
            "cache",
            "A blank for the feature cache",
            "chain.yaml:41",
            "names no folder",
            teacher={"cache": " "},
        ),
        _keys(
            "cache-limit",
            "A feature cache of no size",
            "chain.yaml:41",
            "above 0",
            teacher={"cache_limit_gb": 0.0},
        ),
        _keys("cpus", "One and a half CPUs", "chain.yaml:41", "Ray cannot count 1.5", workers={"cpus": 1.5}),
        _keys("fp16", "fp16 on CPUs", "chain.yaml:9", "fp16 needs GPUs", train={"precision": "fp16"}),
        _keys(
            "bf16",
            "bf16 with ZeRO 0",
            "chain.yaml:9",
            "bf16 needs zero_stage 1",
            train={"precision": "bf16", "zero_stage": 0},
        ),
        _keys(
            "compile",
            "torch.compile with ZeRO 3",
            "chain.yaml:9",
            "zero_stage 3 fetches weights",
            train={"compile": True, "zero_stage": 3},
        ),
        _keys("replicas", "No replicas", "chain.yaml", "0 replicas cannot serve", teacher={"replicas": 0}),
        _keys(
            "teacher-fp16",
            "A teacher in fp16 on CPUs",
            "chain.yaml",
            "fp16 needs a GPU, and the teacher has none",
            teacher={"placement": "actor", "precision": "fp16"},
        ),
        _keys(
            "choice", "No such choice", "chain.yaml:9", "one of fp32, bf16, fp16", train={"precision": "int8"}
        ),
        _keys(
            "deepspeed",
            "A DeepSpeed key that is ours",
            "chain.yaml:10",
            "not handed to DeepSpeed",
            train={"deepspeed": {"train_batch_size": 3}},
        ),
        _keys(
            "carry-random",
            "Moments to carry, but no weights",
            "chain.yaml",
            "random weights have no moments to carry",
            transfer={"growth": "random", "optimizer": "carry"},
        ),
        _keys(
            "template",
            "A prompt without a place",
            "chain.yaml:7",
            "write {} in it",
            data={"class_templates": ["a photo"]},
        ),
        _keys("betas", "Decay rates above 1", "chain.yaml:9", "no decay rates", train={"betas": [0.9, 1.5]}),
        _keys(
            "hue",
            "A hue beyond the circle",
            "chain.yaml:8",
            "0 to 0.5",
            data={"augment": {"color_jitter": [0, 0, 0, 5.0]}},
        ),
        _keys(
            "several",
            "Several mistakes",
            "chain.yaml",
            ("3 problems", "chain.yaml:1: name", "chain.yaml:9: train.lr", "chain.yaml:10: train.zero_stage"),
            name="a b",
            train={"lr": -1, "zero_stage": 7},
        ),
    ),
)
