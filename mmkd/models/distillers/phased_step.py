"""A training step of several phases, each with its own optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import all_reduce, get_world_size, is_distributed
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from torch import nn

from mmkd.registry import MODEL_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS

if TYPE_CHECKING:
    from mmkd.models.distillers.online import OnlineDistiller

#: key of the common phase in ``optim_wrapper``
MAIN = 'main'


def phased_step(
    distiller: OnlineDistiller, data: Any, optim_wrapper: Any
) -> dict[str, torch.Tensor]:
    """Run the networks once, then one update per phase, in order.

    The gradients of all phases are taken at the weights of the forward pass
    and averaged over ranks; then the optimizers step.

    Raises:
        TypeError: ``optim_wrapper`` has no entry for a phase.
    """
    names = (MAIN, *distiller.phases)
    if not isinstance(optim_wrapper, OptimWrapperDict) or (
        set(optim_wrapper.keys()) != set(names)
    ):
        raise TypeError(
            f'the exchange trains in the phases {", ".join(names)}: write '
            "optim_wrapper=dict(constructor='mmkd.PhasedOptimWrapper"
            "Constructor', " + ', '.join(f'{n}=dict(...)' for n in names) + ')'
        )
    with optim_wrapper[MAIN].optim_context(distiller):
        data = distiller.data_preprocessor(data, True)
        by_phase = distiller.losses_by_phase(**data)
    logs: dict[str, torch.Tensor] = {}
    grads = []
    for position, name in enumerate(names):
        losses = by_phase[None if name == MAIN else name]
        loss, values = distiller.parse_losses(losses)
        total = values.pop('loss')
        logs |= values | {name if name != MAIN else 'loss': total}
        grads.append(
            _gradients(
                optim_wrapper[name], loss, name, position < len(names) - 1
            )
        )
    for name, (parameters, values) in zip(names, grads, strict=True):
        wrapper = optim_wrapper[name]
        _average(values)
        _update(wrapper, parameters, values)
    distiller.after_step()
    return logs


def _gradients(
    wrapper: OptimWrapper, loss: torch.Tensor, name: str, retain: bool
) -> tuple[list[nn.Parameter], list[torch.Tensor]]:
    parameters = [
        parameter
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
    ]
    loss = wrapper.scale_loss(loss)
    scaler = getattr(wrapper, 'loss_scaler', None)
    if scaler is not None:
        loss = scaler.scale(loss)
    values = torch.autograd.grad(
        loss, parameters, retain_graph=retain, allow_unused=True
    )
    kept = [
        (parameter, value)
        for parameter, value in zip(parameters, values, strict=True)
        if value is not None
    ]
    if not kept:
        raise RuntimeError(
            f'phase {name}: its loss reaches none of the parameters of '
            f'optim_wrapper.{name}'
        )
    return [pair[0] for pair in kept], [pair[1] for pair in kept]


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


def _update(
    wrapper: OptimWrapper,
    parameters: list[nn.Parameter],
    values: list[torch.Tensor],
) -> None:
    """Step with ``values``; gradients of other phases are set aside."""
    held = [parameter.grad for parameter in parameters]
    stored = getattr(wrapper, '_mmkd_grads', None)
    if stored is not None:
        values = [a + b for a, b in zip(stored, values, strict=True)]
    wrapper._inner_count += 1
    if not wrapper.should_update():
        wrapper._mmkd_grads = values
        return
    wrapper._mmkd_grads = None
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = value
    wrapper.step()
    wrapper.zero_grad()
    for parameter, grad in zip(parameters, held, strict=True):
        parameter.grad = grad


def require_phases(distiller: OnlineDistiller) -> None:
    """Refuse a step that would leave phases out.

    Raises:
        ValueError: mmengine's own wrapper of several processes is used.
    """
    acts = any(
        type(e).after_step is not _base_after_step()
        for e in distiller.exchanges
    )
    if (
        is_distributed()
        and distiller.training
        and (distiller.phases or (acts and not distiller.wrapped))
    ):
        raise ValueError(
            'this exchange has a step of its own, which the default wrapper '
            'for several processes skips: add model_wrapper_cfg=dict('
            "type='mmkd.PhasedDistributedDataParallel') to the config"
        )


def _base_after_step() -> Any:
    from mmkd.models.exchanges.base import Exchange

    return Exchange.after_step


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
            return phased_step(self.module, data, optim_wrapper)
        logs = super().train_step(data, optim_wrapper)
        self.module.after_step()
        return logs


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PhasedOptimWrapperConstructor:
    """One optimizer per phase.

    ``optim_wrapper=dict(constructor='mmkd.PhasedOptimWrapperConstructor',
    main=dict(optimizer=...), <phase>=dict(optimizer=...))``. ``main`` has
    all parameters but those of the exchanges' phases; each phase has those
    that ``Exchange.phase_parameters`` names.
    """

    def __init__(
        self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None
    ) -> None:
        self.configs = dict(optim_wrapper_cfg)
        if paramwise_cfg:
            raise ValueError(
                'optim_wrapper.paramwise_cfg: give it inside '
                'optim_wrapper.main'
            )

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build the wrappers.

        Raises:
            KeyError: the config's phases are not the exchanges'.
        """
        distiller: Any = getattr(model, 'module', model)
        self.configs.pop('type', None)
        names = (MAIN, *distiller.phases)
        if set(self.configs) != set(names):
            raise KeyError(
                f'optim_wrapper has {", ".join(sorted(self.configs))}; the '
                f'exchange trains in the phases {", ".join(names)}: give '
                'one optimizer for each'
            )
        groups = {
            phase: _Group(exchange.phase_parameters(phase, distiller))
            for exchange in distiller.exchanges
            for phase in exchange.phases
        }
        own = {
            id(parameter)
            for exchange in distiller.exchanges
            for parameter in exchange.parameters()
        }
        claimed = {
            id(parameter)
            for group in groups.values()
            for parameter in group.parameters()
        } & own
        groups[MAIN] = _Group(
            parameter
            for parameter in distiller.parameters()
            if id(parameter) not in claimed
        )
        return OptimWrapperDict(
            **{
                name: build_optim_wrapper(groups[name], dict(config))
                for name, config in self.configs.items()
            }
        )


class _Group(nn.Module):
    """Parameters, in the form that optimizers are built from."""

    def __init__(self, parameters: Any) -> None:
        super().__init__()
        self.items = nn.ParameterList(parameters)
