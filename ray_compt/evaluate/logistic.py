"""Multinomial logistic regression on frozen features: fitted by L-BFGS, its regularisation chosen on held-out pictures.

Pure functions of tensors; they run where the features lie. CLIP's linear probe (Radford et al., arXiv 2103.00020,
appendix A.3) fits with scikit-learn's L-BFGS, at most 1,000 iterations, and searches the regularisation between 1e-6
and 1e6 as `choose_l2` does; the loss here is scikit-learn's, with l2 = 1 / C.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ray_compt.data.randomness import permutation

HELD_OUT = 0.2
MAX_ITERATIONS = 1000
# Largest entry of the mean loss's gradient at the end, as scikit-learn's `tol`.
TOLERANCE = 1e-4
# Exponents of 10 that are tried first; then the distance around the best is halved down to FINEST.
EXPONENTS = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)
FINEST = 1 / 8
# Logits held at a time; 2^26 float32 are 256 MiB.
_CHUNK_ELEMENTS = 1 << 26


@dataclass(frozen=True)
class Linear:
    """A linear classifier: weight [C, E], bias [C]."""

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Logits [n, C] of features [n, E]."""
        return features.to(self.weight.dtype) @ self.weight.T + self.bias


@dataclass(frozen=True)
class Choice:
    """A regularisation, and the accuracy on held-out pictures that it was chosen for; None where there were none."""

    l2: float
    held_out_top1: float | None


def fit_logistic(
    features: Tensor, labels: Tensor, classes: int, l2: float, start: Linear | None = None
) -> Linear:
    """Minimise sum over pictures of the cross-entropy + l2 / 2 * |weight|^2, the bias being free.

    Args:
        features: [N, E]; on the CPU the arithmetic is float64, elsewhere float32.
        labels: [N] int64 in [0, classes).
        classes: C.
        l2: of the loss, scikit-learn's 1 / C.
        start: where to begin; None: at zero.
    """
    features = features.to(torch.float64 if features.device.type == "cpu" else torch.float32)
    # The same optimum in coordinates that L-BFGS finds it in sooner: the bias takes the features' mean, and one
    # scale for all keeps the penalty's form.
    mean = features.mean(dim=0)
    centred = features - mean
    scale = centred.square().mean().sqrt().clamp(min=1e-12)
    centred = centred / scale
    if start is None:
        weight, bias = features.new_zeros(classes, features.shape[1]), features.new_zeros(classes)
    else:
        weight, bias = start.weight * scale, start.bias + start.weight @ mean
    _minimise(centred, labels, weight, bias, (l2 / scale**2).item())
    weight = weight / scale
    return Linear(weight, bias - weight @ mean)


def _minimise(features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, l2: float) -> None:
    """Move weight [C, E] and bias [C] to the least loss, in place."""
    optimizer = torch.optim.LBFGS(
        [weight.requires_grad_(), bias.requires_grad_()],
        max_iter=MAX_ITERATIONS,
        tolerance_grad=TOLERANCE,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )
    rows = max(1, _CHUNK_ELEMENTS // len(bias))

    def closure() -> Tensor:
        optimizer.zero_grad()
        # As a mean, so that one tolerance suits every number of pictures.
        penalty = l2 / (2 * len(features)) * weight.square().sum()
        penalty.backward()
        loss = penalty.detach()
        for part, right in zip(features.split(rows), labels.split(rows)):
            share = cross_entropy(part @ weight.T + bias, right, reduction="sum") / len(features)
            share.backward()
            loss = loss + share.detach()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    weight.requires_grad_(False), bias.requires_grad_(False)


def choose_l2(features: Tensor, labels: Tensor, classes: int, seed: int) -> Choice:
    """The l2 with the best accuracy on held-out pictures, the larger one of equals: CLIP's parametric search.

    Args, as `fit_logistic`; seed: of the choice of what is held out.
    """
    held = held_out(labels, seed)
    if not bool(held.any()):
        return Choice(1.0, None)
    known: dict[float, float] = {}
    last: Linear | None = None

    def accuracy(exponent: float) -> float:
        nonlocal last
        if exponent not in known:
            last = fit_logistic(features[~held], labels[~held], classes, 10**exponent, last)
            known[exponent] = (last(features[held]).argmax(dim=1) == labels[held]).double().mean().item()
        return known[exponent]

    # From strong regularisation, where the optimum is near zero, to weak: each fit begins at the one before.
    best = max(reversed(EXPONENTS), key=accuracy)
    step = (EXPONENTS[1] - EXPONENTS[0]) / 2
    while step >= FINEST:
        near = [best + step, best, best - step]
        best = max((one for one in near if EXPONENTS[0] <= one <= EXPONENTS[-1]), key=accuracy)
        step /= 2
    return Choice(10**best, known[best])


def held_out(labels: Tensor, seed: int) -> Tensor:
    """[N] bool: a fifth of each class's pictures, rounded, but never all of them; a function of labels and seed."""
    held = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    for label in labels.unique().tolist():
        own = (labels == label).nonzero().squeeze(1)
        count = min(round(HELD_OUT * len(own)), len(own) - 1)
        held[own[torch.from_numpy(permutation(len(own), seed, "held out", label)[:count]).to(own.device)]] = (
            True
        )
    return held


def few_shot_rows(labels: Tensor, shots: int, seed: int, draw: int) -> Tensor:
    """Rows of `shots` pictures of each class, all of a class that has fewer; more shots hold those of fewer."""
    rows = []
    for label in labels.unique().tolist():
        own = (labels == label).nonzero().squeeze(1)
        order = permutation(len(own), seed, "few shot", draw, label)
        rows.append(own[torch.from_numpy(order[:shots]).to(own.device)])
    return torch.cat(rows)
