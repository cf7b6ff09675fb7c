"""The gradient of what is reached after a few virtual steps of SGD."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mmkd.engine.twice_differentiable import require_whole_graph

ADJOINTS = ('exact', 'published')

Tensors = list[torch.Tensor]
Loss = Callable[[], torch.Tensor]


@dataclass(frozen=True)
class Virtual:
    """The optimizer of the virtual steps: SGD without Nesterov momentum.

    Args:
        parameters: theta, leaf tensors.
        rates: eta, learning rate of each.
        decays: wd, weight decay of each.
        momentum: mu; its buffer starts at zero.
    """

    parameters: Sequence[torch.Tensor]
    rates: Sequence[float]
    decays: Sequence[float]
    momentum: float = 0.9

    @classmethod
    def of(
        cls,
        groups: Sequence[Mapping[str, Any]],
        momentum: float,
        without: Sequence[torch.Tensor],
    ) -> Virtual:
        """Return the virtual optimizer of what another one trains.

        Args:
            groups: parameter groups of the other one, with its rates.
            momentum: mu.
            without: parameters that are not moved.
        """
        own = {id(p) for p in without}
        found = [
            (p, group)
            for group in groups
            for p in group['params']
            if p.requires_grad and id(p) not in own
        ]
        return cls(
            [p for p, _ in found],
            [float(group['lr']) for _, group in found],
            [float(group.get('weight_decay', 0.0)) for _, group in found],
            momentum,
        )


def meta_gradient(
    inner: Loss,
    outer: Loss,
    virtual: Virtual,
    phi: Sequence[torch.Tensor],
    num_inner_steps: int = 2,
    adjoint: str = 'exact',
) -> tuple[Tensors, float]:
    """Return d outer(theta_{n+1}) / d phi, and outer(theta_{n+1}).

    theta_0 is where the parameters are. Steps t = 0..n-1 descend on
    ``inner(theta; phi)``, step n on ``outer(theta)``:

    v <- mu v + grad L_t(theta_t) + wd theta_t, theta_{t+1} = theta_t - eta v.

    The chain is run backwards with one second derivative per step, from
    A = grad outer(theta_{n+1}), B = 0, g = 0, for t = n..0:

    c = B - eta A, (Hc, q) = d <grad L_t(theta_t), c> / d (theta, phi),
    g += q, A += wd c + Hc, B = mu c.

    Only theta_0..theta_n are kept, never the graphs of two steps at once.
    Parameters are moved in place and put back, bit for bit. A missing
    gradient counts as zero. Source: https://arxiv.org/abs/2207.11518.

    Args:
        inner: computes a loss of the parameters where they are, and of phi;
            must give the same each time.
        outer: likewise, of the parameters alone.
        virtual: theta and its optimizer.
        phi: leaf tensors that the inner loss depends on.
        num_inner_steps: n.
        adjoint: ``'exact'``; ``'published'`` as the authors' optimizer has
            it: A <- A (1 - eta wd) + B + Hc, their B with the factor 1
            instead of wd.

    Raises:
        ValueError: ``num_inner_steps`` or ``adjoint``.
        RuntimeError: of torch, if a layer has no second derivative.
    """
    check_meta_settings(num_inner_steps, adjoint)
    theta = list(virtual.parameters)
    start = _copies(theta)
    try:
        points = _walk(inner, outer, virtual, num_inner_steps)
        final = outer()
        back = _zeros_for(_gradients(final, theta), theta)
        value = float(final.detach())
        del final
        return _backwards(
            inner, outer, virtual, list(phi), points, back, adjoint
        ), value
    finally:
        _move(theta, start)


def check_meta_settings(num_inner_steps: int, adjoint: str) -> None:
    """Refuse settings that make no meta step.

    Raises:
        ValueError: names the setting.
    """
    if num_inner_steps < 1:
        raise ValueError(
            f'meta step: num_inner_steps={num_inner_steps} must be at least '
            '1; set e.g. num_inner_steps=2'
        )
    if adjoint not in ADJOINTS:
        raise ValueError(
            f'meta step: adjoint={adjoint!r} is unknown; choose one of '
            f'{ADJOINTS}'
        )


def _walk(
    inner: Loss, outer: Loss, virtual: Virtual, num_inner_steps: int
) -> list[Tensors]:
    """Take all virtual steps; return theta_0..theta_n."""
    theta = list(virtual.parameters)
    buffers = [torch.zeros_like(p) for p in theta]
    points = []
    for loss in (*[inner] * num_inner_steps, outer):
        points.append(_copies(theta))
        gradients = _gradients(loss(), theta)
        with torch.no_grad():
            for p, v, g, rate, decay in zip(
                theta,
                buffers,
                gradients,
                virtual.rates,
                virtual.decays,
                strict=True,
            ):
                v.mul_(virtual.momentum).add_(p, alpha=decay)
                if g is not None:
                    v.add_(g)
                p.sub_(v, alpha=rate)
    return points


def _backwards(
    inner: Loss,
    outer: Loss,
    virtual: Virtual,
    phi: Tensors,
    points: list[Tensors],
    back: Tensors,
    adjoint: str,
) -> Tensors:
    """Run the recursion from ``back``, A at theta_{n+1}; uses points up."""
    theta = list(virtual.parameters)
    of_momentum = [torch.zeros_like(p) for p in theta]
    found = [torch.zeros_like(p) for p in phi]
    loss = outer
    while points:
        _move(theta, points.pop())
        moved = [
            b.sub(a, alpha=rate)
            for a, b, rate in zip(
                back, of_momentum, virtual.rates, strict=True
            )
        ]
        # nothing asks for A before theta_0
        wanted = [*phi, *theta] if points else phi
        second = _second_gradients(loss(), theta, moved, wanted)
        for total, q in zip(found, second, strict=False):
            if q is not None:
                total.add_(q)
        if points:
            products = _zeros_for(second[len(phi) :], theta)
            for a, b, c, hc, rate, decay in zip(
                back,
                of_momentum,
                moved,
                products,
                virtual.rates,
                virtual.decays,
                strict=True,
            ):
                if adjoint == 'exact':
                    a.add_(c, alpha=decay).add_(hc)
                else:
                    a.mul_(1 - rate * decay).add_(b).add_(hc)
            of_momentum = [c.mul_(virtual.momentum) for c in moved]
        loss = inner
    return found


def _second_gradients(
    loss: torch.Tensor, theta: Tensors, vector: Tensors, wanted: Tensors
) -> list[torch.Tensor | None]:
    """Return d <grad_theta loss, vector> / d wanted; None is zero."""
    gradients = _gradients(loss, theta, create_graph=True)
    pairs = [
        (g, c)
        for g, c in zip(gradients, vector, strict=True)
        if g is not None and g.requires_grad
    ]
    require_whole_graph(g for g, _ in pairs)
    if not pairs:
        return [None] * len(wanted)
    return list(
        torch.autograd.grad(
            [g for g, _ in pairs],
            wanted,
            grad_outputs=[c for _, c in pairs],
            allow_unused=True,
        )
    )


def _gradients(
    loss: torch.Tensor, theta: Tensors, create_graph: bool = False
) -> list[torch.Tensor | None]:
    return list(
        torch.autograd.grad(
            loss, theta, create_graph=create_graph, allow_unused=True
        )
    )


def _zeros_for(
    gradients: Sequence[torch.Tensor | None], theta: Tensors
) -> Tensors:
    return [
        torch.zeros_like(p) if g is None else g
        for g, p in zip(gradients, theta, strict=True)
    ]


def _copies(tensors: Sequence[torch.Tensor]) -> Tensors:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _move(tensors: Tensors, values: Tensors) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
