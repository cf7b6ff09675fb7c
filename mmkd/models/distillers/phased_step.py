"""A training step of several phases, each with its own optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import all_reduce, get_world_size, is_distributed
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from torch import nn

from mmkd.models.exchanges.base import Exchange
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
    for name in names:
        loss, values = distiller.parse_losses(
            by_phase[None if name == MAIN else name]
        )
        total = values.pop('loss')
        logs |= values | {name if name != MAIN else 'loss': total}
        grads.append(
            _gradients(optim_wrapper[name], loss, name, name != names[-1])
        )
    for name, values in zip(names, grads, strict=True):
        _average(list(values.values()))
        _update(optim_wrapper[name], values)
    distiller.after_step()
    return logs


Gradients = dict[nn.Parameter, torch.Tensor]


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
            f'phase {name} of the exchange has nothing to train: let '
            'phase_losses return a tensor with gradient, its key with "loss"'
        )
    loss = wrapper.scale_loss(loss)
    scaler = getattr(wrapper, 'loss_scaler', None)
    if scaler is not None:
        loss = scaler.scale(loss)
    values = torch.autograd.grad(
        loss, parameters, retain_graph=retain, allow_unused=True
    )
    found = {
        parameter: value
        for parameter, value in zip(parameters, values, strict=True)
        if value is not None
    }
    if not found:
        raise ValueError(
            f'phase {name} of the exchange: its loss reaches none of the '
            f'parameters of optim_wrapper.{name}; correct phase_parameters '
            'or phase_losses'
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


def _update(wrapper: OptimWrapper, values: Gradients) -> None:
    """Step with ``values``, or keep them until the wrapper is to step."""
    kept: Gradients = wrapper.__dict__.setdefault('_mmkd_grads', {})
    for parameter, value in values.items():
        kept[parameter] = (
            kept[parameter] + value if parameter in kept else value
        )
    wrapper._inner_count += 1
    if not wrapper.should_update():
        return
    for parameter, value in kept.items():
        parameter.grad = value
    wrapper.step()
    wrapper.zero_grad()
    kept.clear()


def require_phases(distiller: OnlineDistiller) -> None:
    """Refuse a step that would leave phases out.

    Raises:
        ValueError: mmengine's own wrapper of several processes is used.
    """
    acts = any(
        type(e).after_step is not Exchange.after_step
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
        trained = {
            phase: set(exchange.phase_parameters(phase, distiller))
            for exchange in distiller.exchanges
            for phase in exchange.phases
        }
        own = set(distiller.exchanges.parameters())
        trained[MAIN] = set(distiller.parameters()) - (
            own & set().union(*trained.values())
        )
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
