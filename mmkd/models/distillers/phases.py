"""A training step of several phases, each with its own optimizer.

All gradients are taken at the weights of one forward pass; then the
optimizers step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from torch import nn

from mmkd.registry import MODEL_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS
from mmkd.utils.settings import require_dict

#: key of the common phase in ``optim_wrapper``
MAIN = 'main'

Gradients = dict[nn.Parameter, torch.Tensor]


def require_wrappers(
    optim_wrapper: Any, phases: Sequence[str]
) -> OptimWrapperDict:
    """Return the optimizers of all phases.

    Raises:
        TypeError: one has none.
    """
    names = (MAIN, *phases)
    if not isinstance(optim_wrapper, OptimWrapperDict) or (
        set(optim_wrapper.keys()) != set(names)
    ):
        raise TypeError(
            f'{_trains_in(names)}: write '
            "optim_wrapper=dict(constructor='mmkd.PhasedOptimWrapper"
            "Constructor', " + ', '.join(f'{n}=dict(...)' for n in names) + ')'
        )
    return optim_wrapper


def _trains_in(names: Sequence[str]) -> str:
    return f'the model trains in the phases {", ".join(names)}'


def update_phases(
    wrappers: OptimWrapperDict,
    losses: Mapping[str, Any],
    inspect: Callable[[Mapping[str, list[torch.Tensor]]], None] | None = None,
) -> None:
    """Take the gradients of every phase's loss, average them over ranks, step.

    Args:
        wrappers: an optimizer per phase.
        losses: phase -> scalar, in order; all of one forward pass.
        inspect: is shown the averaged gradients of the phases before any
            optimizer steps.

    Raises:
        ValueError: a phase has nothing to train.
    """
    names = list(losses)
    grads = [
        _gradients(wrappers[name], losses[name], name, name != names[-1])
        for name in names
    ]
    for values in grads:
        _average(list(values.values()))
    if inspect is not None:
        inspect(
            {
                name: list(values.values())
                for name, values in zip(names, grads, strict=True)
            }
        )
    for name, values in zip(names, grads, strict=True):
        wrappers[name].update_params(_Deliver.apply(values, *values))


class _Deliver(torch.autograd.Function):
    """A zero whose gradient to its inputs is given.

    It lets an OptimWrapper accumulate, scale, clip and step as it does for
    any loss.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Gradients, *parameters: nn.Parameter
    ) -> torch.Tensor:
        ctx.values = list(values.values())
        return parameters[0].new_zeros((), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        return None, *(value * grad.to(value) for value in ctx.values)


def _gradients(
    wrapper: OptimWrapper, loss: Any, name: str, retain: bool
) -> Gradients:
    parameters = [
        parameter
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
        if parameter.requires_grad
    ]
    if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
        raise ValueError(
            f'phase {name} has nothing to train: let phase_losses return a '
            'tensor with gradient, its key with "loss"'
        )
    # Small gradients vanish in half precision: scaled there and back.
    scaler = getattr(wrapper, 'loss_scaler', None)
    scale = None if scaler is None else scaler.scale(torch.ones_like(loss))
    values = torch.autograd.grad(
        loss if scale is None else loss * scale.detach(),
        parameters,
        retain_graph=retain,
        allow_unused=True,
    )
    found = {
        parameter: value if scale is None else value / scale.to(value)
        for parameter, value in zip(parameters, values, strict=True)
        if value is not None
    }
    if not found:
        raise ValueError(
            f'phase {name}: its loss reaches none of the parameters of '
            f'optim_wrapper.{name}; correct phase_parameters or phase_losses'
        )
    return found


def _average(values: list[torch.Tensor]) -> None:
    """Average gradients over ranks, in one transfer."""
    if get_world_size() == 1:
        return
    flat = torch.cat([value.flatten() for value in values])
    all_reduce(flat, op='mean')
    start = 0
    for value in values:
        value.copy_(flat[start : start + value.numel()].view_as(value))
        start += value.numel()


@MODEL_WRAPPERS.register_module()
class PhasedDistributedDataParallel(MMDistributedDataParallel):
    """Several processes for distillers with a step of their own.

    Of two backward passes through one forward pass, torch's wrapper averages
    only the first over ranks; here the phased step averages each itself.
    """

    def __init__(self, module: nn.Module, **kwargs: Any) -> None:
        super().__init__(module=module, **kwargs)
        self.module.wrapped = True

    def train_step(self, data: Any, optim_wrapper: Any) -> dict:
        """Run the distiller's step."""
        if self.module.phases:
            return self.module.train_step(data, optim_wrapper)
        logs = super().train_step(data, optim_wrapper)
        self.module.after_step()
        return logs


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PhasedOptimWrapperConstructor:
    """Build one optimizer per phase of a distiller.

    Each is built like an ordinary one and then keeps what its phase trains:
    ``main`` everything but the parameters of losses or exchanges that other
    phases train, a phase what ``phase_parameters`` gives.

    Args:
        optim_wrapper_cfg: phase -> config of an OptimWrapper.
        paramwise_cfg: not used; give it inside a phase.
    """

    def __init__(
        self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None
    ) -> None:
        self.configs = dict(optim_wrapper_cfg)
        self.configs.pop('constructor', None)
        for name, config in self.configs.items():
            require_dict(
                f'optim_wrapper.{name}',
                config,
                "type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)",
            )
        if paramwise_cfg is not None:
            raise ValueError(
                'optim_wrapper.paramwise_cfg: give it inside '
                f'optim_wrapper.{MAIN}, or inside another phase'
            )

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Return the optimizers of ``model``.

        Raises:
            KeyError: a phase has no config, or a config no phase.
        """
        distiller: Any = getattr(model, 'module', model)
        names = (MAIN, *distiller.phases)
        if set(self.configs) != set(names):
            raise KeyError(
                f'optim_wrapper has {", ".join(sorted(self.configs))}; '
                f'{_trains_in(names)}: give one optimizer for each'
            )
        trained = distiller.phase_parameters()
        return OptimWrapperDict(
            **{
                name: _restricted(
                    build_optim_wrapper(distiller, dict(config)), trained[name]
                )
                for name, config in self.configs.items()
            }
        )


def _restricted(
    wrapper: OptimWrapper, parameters: set[nn.Parameter]
) -> OptimWrapper:
    """Let ``wrapper`` train ``parameters`` alone."""
    groups = wrapper.optimizer.param_groups
    for group in groups:
        group['params'] = [p for p in group['params'] if p in parameters]
    groups[:] = [group for group in groups if group['params']]
    return wrapper
