"""What a stage holds in a device's memory, roughly: enough to say how many samples run at once.

States: ZeRO, arXiv 1910.02054, section 3. Activations: Korthikanti et al., arXiv 2205.05198, equation 2 without the
term of the attention matrix, which torch's fused attention does not keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_compt.models.names import CONTEXT_LENGTH
from ray_compt.models.validate import as_pair
from ray_compt.plan.cluster.devices import Precision

# Of a GPU's memory that can be filled.
USABLE = 0.9
# Bytes a token, channel and layer in 16 bits, that the backward pass needs; with checkpointing, the layer's input.
KEPT, KEPT_CHECKPOINTED = 34, 2
# Logits, logits with the mask of unreadable samples, and their log-softmax.
LOGIT_COPIES = 3


@dataclass(frozen=True)
class Footprint:
    """Bytes on one worker.

    Attributes:
        states: weights, gradients, optimizer.
        sample: activations of one sample with all its captions; None where the towers are no plain transformers.
        loss: of the contrastive loss's logits.
    """

    states: float
    sample: float | None
    loss: float

    def samples_at_once(self, memory: float) -> int | None:
        """Most samples whose activations fit beside all else, 0 where not one does; None where that is not known."""
        if self.sample is None or not memory:
            return None
        return max(0, int((USABLE * memory - self.states - self.loss) / self.sample))


def state_bytes(parameters: float, precision: Precision, zero_stage: int, workers: int) -> float:
    """Weights and gradients in the training precision, and what AdamW and DeepSpeed keep in float32."""
    width = 4 if precision == "fp32" else 2
    weights = width * parameters / (workers if zero_stage >= 3 else 1)
    gradients = width * parameters / (workers if zero_stage >= 2 else 1)
    if zero_stage == 0:
        return weights + gradients + 12 * parameters
    return weights + gradients + 16 * parameters / workers


def activation_bytes(
    config: dict[str, Any], captions: int, precision: Precision, *, checkpointed: bool
) -> float | None:
    """Activations of one sample, of both towers of an open_clip configuration; None where they are not plain ViTs."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    if vision.get("timm_model_name") or isinstance(vision.get("layers"), (list, tuple)):
        return None
    patch = vision.get("patch_size", 16)
    rows, columns = (pixels // patch for pixels in as_pair(vision.get("image_size", 224)))
    image = (rows * columns + 1) * vision.get("width", 768) * vision.get("layers", 12)
    words = text.get("context_length", CONTEXT_LENGTH) * text.get("width", 512) * text.get("layers", 12)
    each = (KEPT_CHECKPOINTED if checkpointed else KEPT) * (2 if precision == "fp32" else 1)
    return float(each * (image + captions * words))


def loss_bytes(global_batch: int, workers: int, captions: int) -> float:
    """The float32 logits of a worker's rows against the global batch, in both directions and for all captions."""
    return LOGIT_COPIES * 4.0 * 2 * captions * (global_batch / workers) * global_batch
