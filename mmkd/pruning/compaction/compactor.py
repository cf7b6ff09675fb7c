"""Masked network -> smaller network with the same outputs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from mmkd.pruning.compaction.choose import Choice
from mmkd.pruning.compaction.constants import (
    check_zero_filters,
    conv_bias,
    norm_constant,
    zero_filters,
)
from mmkd.pruning.compaction.cost import analytic_saving
from mmkd.pruning.compaction.fold import fold_constants
from mmkd.pruning.compaction.forward import (
    Forward,
    all_parts,
    as_images,
    choose_forward,
)
from mmkd.pruning.compaction.graph import ChannelGraph
from mmkd.pruning.compaction.modules import submodule
from mmkd.pruning.compaction.plan import Plan, make_plan
from mmkd.pruning.compaction.rules import apply_rules
from mmkd.pruning.compaction.tracer import ChannelTracer
from mmkd.pruning.compaction.verify import verify
from mmkd.pruning.standalone_loader import apply_plan


@dataclass(frozen=True)
class CompactionReport:
    """What `compact` did.

    Args:
        zero_filters: convolution -> number of its zero filters.
        removed: convolution -> number of filters that are gone.
        skipped: convolution -> zero filters that stay and why.
        emptied: convolutions all of whose filters are zero.
        parameters: of the masked and of the compact network.
        max_error: largest relative difference of an output.
        not_run: why heads were left out of the comparison; '' if not.
        analytic: share of multiply-adds that papers would report as saved,
            see `analytic_saving`.
    """

    zero_filters: dict[str, int]
    removed: dict[str, int]
    skipped: dict[str, dict[str, object]]
    emptied: list[str]
    parameters: tuple[int, int]
    max_error: float
    not_run: str
    analytic: float


def compact(
    model: nn.Module,
    inputs: Tensor | Sequence[int] = (3, 224, 224),
    *,
    residual: str = 'keep',
    divisor: int = 1,
    trace: bool = True,
    allow_dense: bool = False,
    allow_tiny: bool = False,
    tolerance: float | None = None,
) -> tuple[nn.Module, Plan, CompactionReport]:
    """Remove zero filters; outputs in eval mode stay the same.

    A zero filter leaves a constant behind its batch norm. Where no zero
    padding touches the map, constants go into the next running mean or
    bias; elsewhere one channel of the layer stays and carries them all.
    Filters that add to a residual stream stay, unless those of all addends
    are zero in the same channel.

    Args:
        model: in eval mode, with zero filters; not changed.
        inputs: images (N, C, H, W), or their shape (C, H, W), on which the
            network is followed and compared.
        residual: ``'keep'`` leaves zero filters of residual streams;
            ``'scatter'`` removes them and writes their constants behind
            the batch norm, which is no plain layer any more.
        divisor: widths that shrink become a multiple of it.
        trace: follow channels outside of known blocks through a run.
        allow_dense: a network without a zero filter is no error.
        allow_tiny: filters that are nearly zero are no error; they stay.
        tolerance: see `verify`.

    Returns:
        The compact network (SyncBN became BN), the plan that `apply_plan`
        cuts the same network with, and a report.

    Raises:
        ValueError: training mode, nothing to remove, a bad argument.
        CompactionError: outputs differ.
    """
    _check_arguments(model, residual, divisor, tolerance)
    counts = check_zero_filters(model, allow_dense, allow_tiny)
    masked = revert_sync_batchnorm(copy.deepcopy(model)).eval()
    inputs = as_images(masked, inputs)
    forward, not_run = choose_forward(masked, inputs)
    graph = channel_graph(masked, inputs, forward, trace)
    choice = Choice(graph, masked, divisor)

    small = copy.deepcopy(masked)
    with_bias = fold_constants(small, choice)
    plan = make_plan(masked, choice, with_bias, residual, divisor)
    if counts and not plan['modules'] and not allow_dense:
        raise ValueError(_nothing_removed(plan))
    apply_plan(small, plan)
    _write_constants(masked, small, plan)
    max_error = verify(masked, small, plan, inputs, forward, tolerance)
    report = CompactionReport(
        zero_filters=counts,
        removed=_removed(plan),
        skipped=plan['skipped'],
        emptied=choice.emptied,
        parameters=(_parameters(masked), _parameters(small)),
        max_error=max_error,
        not_run=not_run,
        analytic=analytic_saving(masked, graph, inputs, forward),
    )
    return small, plan, report


@torch.no_grad()
def channel_graph(
    network: nn.Module, inputs: Tensor, forward: Forward, trace: bool = True
) -> ChannelGraph:
    """Return which layers of ``network`` share channels.

    Args:
        network: in eval mode.
        inputs: (N, C, H, W); one image is used.
        forward: runs the network.
        trace: follow a run, beside the rules for known blocks.
    """
    graph = ChannelGraph()
    done = apply_rules(network, graph)
    if trace:
        tracer = ChannelTracer(network, graph, done)
        outputs = None
        try:
            with tracer:
                outputs = all_parts(network, inputs[:1], forward)
        finally:
            tracer.finish(outputs)
    return graph


def _check_arguments(
    model: nn.Module, residual: str, divisor: int, tolerance: float | None
) -> None:
    training = [n for n, m in model.named_modules() if m.training]
    if training:
        raise ValueError(
            f'the network is in training mode (e.g. "{training[-1]}"): call '
            'model.eval() first; compaction is exact for running statistics '
            'only'
        )
    if residual not in ('keep', 'scatter'):
        raise ValueError(
            f"residual={residual!r} is unknown: set it to 'keep' or 'scatter'"
        )
    if not isinstance(divisor, int) or divisor < 1:
        raise ValueError(
            f'divisor={divisor!r} must be a whole number of at least 1'
        )
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(
            f'tolerance={tolerance} must be at least 0; leave it out for that '
            'of the type of the weights'
        )


def _nothing_removed(plan: Plan) -> str:
    reasons = [
        f'{name}: {entry["zero_filters"]} zero filters, {entry["reason"]}'
        for name, entry in plan['skipped'].items()
    ]
    more = f' and {len(reasons) - 3} more' if len(reasons) > 3 else ''
    return (
        f'no zero filter can be removed exactly ({"; ".join(reasons[:3])}'
        f"{more}): prune other layers, or set residual='scatter'"
    )


@torch.no_grad()
def _write_constants(masked: nn.Module, small: nn.Module, plan: Plan) -> None:
    """Fill the constants of the norms that scatter."""
    for name, entry in plan['scatter'].items():
        conv = submodule(masked, entry['conv'])
        constant = norm_constant(submodule(masked, name), conv_bias(conv))
        constant[~zero_filters(conv)] = 0
        keep = plan['modules'].get(name, {}).get('keep_out')
        if keep is not None:
            constant = constant[keep]
        target = submodule(small, name).const
        target.copy_(constant.view(1, -1, 1, 1))


def _removed(plan: Plan) -> dict[str, int]:
    return {
        name: entry['out_channels'][0] - entry['out_channels'][1]
        for name, entry in plan['modules'].items()
        if 'carriers' in entry
    }


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
