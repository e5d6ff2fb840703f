"""Running the student's towers through torch.compile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from ray_compt.errors import UserError
from ray_compt.train.job import StageJob


def compile_towers(clip: Any) -> None:
    """Compile both towers in place, when they first run; names and values of the weights stay as they are.

    Args:
        clip: an open_clip model. Its text tower is compiled for any number and length of captions, because captions
            come in groups (`models/short_text.py`); its image tower for the shapes that come.
    """
    compile_image_tower(clip)
    text: nn.Module = clip.transformer if hasattr(clip, "transformer") else clip.text
    text.compile(dynamic=True)


def compile_image_tower(model: Any) -> None:
    """Compile the image tower of an open_clip model, or of what has one as `visual`, alone."""
    model.visual.compile()


@contextmanager
def compiling_explained(job: StageJob) -> Iterator[None]:
    """Say what to do where a tower does not compile.

    Raises:
        UserError: it does not, for want of a C++ compiler for example.
    """
    if not job.train.compile:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        raise UserError(
            f"torch.compile failed: {_reason(error)}",
            where=f"stage {job.name}",
            mend="write train.compile: false; on CPUs it needs a C++ compiler, on GPUs a C compiler, on every node",
        ) from error


def _reason(error: BaseException) -> str:
    """The first line that says more than which of torch's compilers failed."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.startswith("backend=")), type(error).__name__)
