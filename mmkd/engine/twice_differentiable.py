"""Which layer has no second derivative?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

# In several processes their backward pass is written by hand.
_ONCE = ('SyncBatchNorm', 'NaiveSyncBatchNorm')
# What ends the graph of a gradient.
_ENDS = ('::Error', '::DelayedError', '::NotImplemented')
_CHECKPOINTING = ('with_cp', 'use_checkpoint', 'grad_checkpointing')


def require_twice_differentiable(model: nn.Module, owner: str) -> None:
    """Refuse layers that are known to have no second derivative.

    Raises:
        ValueError: names the first.
    """
    for name, module in model.named_modules():
        kinds = {cls.__name__ for cls in type(module).__mro__}
        if kinds & set(_ONCE):
            raise _refusal(
                owner, name, module, 'use BatchNorm (no sync_bn), or remove '
            )
        for key in _CHECKPOINTING:
            if getattr(module, key, False) is True:
                raise _refusal(
                    owner,
                    name,
                    module,
                    f'it runs under activation checkpointing: set {key}='
                    'False, or remove ',
                )


def explain_failure(
    model: nn.Module,
    run: Callable[[], Any],
    owner: str,
    error: RuntimeError,
) -> None:
    """Name the layer because of which a second derivative failed.

    Every module is tried by itself on what it gets in ``run``, those inside
    first. Returns if all pass: the error has another cause.

    Args:
        model: whose modules run.
        run: runs them.
        owner: who needs the second derivative.
        error: of torch.

    Raises:
        ValueError: names the first module that fails.
    """
    seen: list[tuple[str, nn.Module, Any]] = []

    def hook(name: str) -> Any:
        return lambda module, args, _: seen.append((name, module, args))

    handles = [
        module.register_forward_hook(hook(name))
        for name, module in model.named_modules()
        if name
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    for name, module, args in seen:
        if not _twice(module, args):
            raise _refusal(
                owner, name, module, 'replace it, or remove '
            ) from error


def require_whole_graph(gradients: Iterable[torch.Tensor]) -> None:
    """Refuse gradients whose own derivative misses a part.

    Where the backward pass of a function is marked to be differentiated
    once, the graph of a gradient ends, and ``autograd.grad`` passes over
    such an end in silence.

    Raises:
        RuntimeError: there is such an end.
    """
    stack = [g.grad_fn for g in gradients if g.grad_fn is not None]
    visited = set(stack)
    while stack:
        node = stack.pop()
        if node.name().endswith(_ENDS):
            raise RuntimeError(
                'a layer can be differentiated only once, so there is no '
                'gradient of its gradient'
            )
        for following, _ in node.next_functions:
            if following is not None and following not in visited:
                visited.add(following)
                stack.append(following)


def _twice(module: nn.Module, args: Any) -> bool:
    """Return whether a module can be differentiated twice."""
    inputs = [
        arg.detach().requires_grad_()
        if isinstance(arg, torch.Tensor) and arg.is_floating_point()
        else arg
        for arg in args
    ]
    leaves = [
        i for i in inputs if isinstance(i, torch.Tensor) and i.requires_grad
    ]
    if not leaves:
        return True
    try:
        output = module.forward(*inputs)
    except Exception:  # keyword arguments were left out
        return True
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    if not isinstance(output, torch.Tensor) or not output.requires_grad:
        return True
    try:
        first = torch.autograd.grad(
            output.square().sum(), leaves, create_graph=True, allow_unused=True
        )
        total = [g.square().sum() for g in first if g is not None]
        total = [value for value in total if value.requires_grad]
        require_whole_graph(total)
        if total:
            torch.autograd.grad(
                torch.stack(total).sum(), leaves, allow_unused=True
            )
    except RuntimeError:
        return False
    return True


def _refusal(
    owner: str, name: str, module: nn.Module, cure: str
) -> ValueError:
    return ValueError(
        f'{owner}: meta optimisation needs twice differentiable layers: '
        f'"{name}" ({type(module).__name__}) is not one; {cure}the hook '
        '(constant pair weights)'
    )
