"""What tools/patch_cascade.py prints and draws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mmengine.config import Config

from mmkd.checkpoints.atomic import write_file
from mmkd.cli.config import read_config
from mmkd.deploy import deployed_network
from mmkd.evaluation.early_exit import (
    ExitResult,
    ExitTable,
    apply_thresholds,
    fixed_exit,
)
from mmkd.evaluation.threshold_search import search_thresholds
from mmkd.models.classifiers.cascade_cost import count_macs, stage_costs
from mmkd.networks import build_network, freeze
from mmkd.results.cascade import (
    assemble,
    collect_table,
    images_of,
    load_cascade,
    measure_times,
    read_table,
    write_table,
)
from mmkd.visualization import plot_curves

Macs = Sequence[float] | None


def assemble_lines(config: Config, out: str) -> list[str]:
    """Write the joined checkpoint."""
    return [f'{out}: {assemble(config, out)} tensors']


def table_lines(
    config: Config, checkpoint: str, out: str, split: str, device: str
) -> list[str]:
    """Write the table of a split; one line for each fixed exit."""
    cascade = load_cascade(config, checkpoint, device)
    table, costs = collect_table(cascade, config, split)
    write_table(out, table, costs)
    return [f'{out}: {len(table.confidence)} images', *_fixed(table, costs)]


def curve_lines(
    path: str,
    macs: Macs,
    thresholds: Sequence[Sequence[float]] | None,
    out: str | None = None,
    json_out: str | None = None,
) -> list[str]:
    """Apply thresholds to a table; without any, all fixed exits.

    Args:
        path: of the table.
        macs: costs of the global network, of the patch network for a patch,
            and of the proposal network; None takes those of the table.
        thresholds: several lists, one number for each stage.
        out: PNG file with cost and accuracy.
        json_out: file with all numbers.
    """
    table, costs = _priced(path, macs)
    fixed = [
        apply_thresholds(table, fixed_exit(table.num_stages, stage), costs)
        for stage in range(table.num_stages)
    ]
    dynamic = [
        apply_thresholds(table, limits, costs) for limits in thresholds or ()
    ]
    if out is not None:
        curves = {'fixed exit': _points(fixed)}
        if dynamic:
            ordered = sorted(dynamic, key=lambda result: result.cost)
            curves['early exit'] = _points(ordered)
        plot_curves(
            {'top-1 %': curves}, out, '10^9 multiply-adds', from_zero=False
        )
    if json_out is not None:
        found = dict(fixed=fixed, dynamic=dynamic)
        content = {
            name: [asdict(result) for result in results]
            for name, results in found.items()
        }
        text = json.dumps(content, indent=2) + '\n'
        write_file(json_out, text.encode())
    return [_line(result) for result in dynamic or fixed]


def search_lines(
    path: str, macs: Macs, budget: float, report: str | None = None
) -> list[str]:
    """Search thresholds on a table, and apply them to another one."""
    table, costs = _priced(path, macs)
    found = search_thresholds(table, costs, budget)
    lines = [f'searched on {path}: {_line(found)}']
    if report is not None:
        other, own = _priced(report, macs)
        result = apply_thresholds(other, found.thresholds, own)
        lines.append(f'applied to {report}: {_line(result)}')
    limits = ', '.join(f'{t:.4f}' for t in found.thresholds)
    return [*lines, f'exit_thresholds=[{limits}]']


def latency_lines(
    config: Config,
    checkpoint: str,
    dense: str | None,
    split: str,
    device: str,
    batch_size: int,
    rounds: int,
) -> list[str]:
    """Time all exits on one batch of a split; untrained weights for dense."""
    cascade = load_cascade(config, checkpoint, device)
    loader = f'{split}_dataloader'
    config[loader]['batch_size'] = batch_size
    images, _ = next(iter(images_of(cascade, config, split)))
    costs: dict[str, float] = {
        f'stage {k + 1}': cost for k, cost in enumerate(cascade.costs(images))
    }
    other: Any = None
    if dense is not None:
        other = build_network(deployed_network(read_config(dense)))
        freeze(other.to(device))
        costs['dense'] = count_macs(other, images)
    if cascade.exit_thresholds is not None:
        samples = cascade.predict(images)
        costs['dynamic'] = sum(s.macs for s in samples) / len(samples)
    times = measure_times(cascade, images, other, rounds)
    base = 'dense' if other is not None else f'stage {cascade.num_stages}'
    lines = [f'{len(images)} images of {tuple(images.shape[1:])}; / {base}']
    for name, seconds in times.items():
        lines.append(
            f'{name}: {seconds * 1e3:.2f} ms an image, '
            f'{costs[name] / 1e6:.1f} M multiply-adds; '
            f'time {seconds / times[base]:.3f}, '
            f'multiply-adds {costs[name] / costs[base]:.3f}'
        )
    return lines


def _priced(path: str, macs: Macs) -> tuple[ExitTable, list[float]]:
    table, costs = read_table(path)
    if macs is not None:
        first, patch, proposal = macs
        costs = stage_costs(first, patch, proposal, table.num_stages)
    if costs is None:
        raise ValueError(
            f'table="{path}" holds no costs; give --macs FIRST PATCH '
            'PROPOSAL, in 10^9 multiply-adds (published: 0.79 0.79 0.06)'
        )
    return table, costs


def _fixed(table: ExitTable, costs: Sequence[float]) -> list[str]:
    results = (
        apply_thresholds(table, fixed_exit(table.num_stages, stage), costs)
        for stage in range(table.num_stages)
    )
    return [
        f'all leave at stage {stage}: {_line(result)}'
        for stage, result in enumerate(results, 1)
    ]


def _line(result: ExitResult) -> str:
    count = ' '.join(map(str, result.stage_count))
    limits = ' '.join(f'{t:g}' for t in result.thresholds)
    return (
        f'top-1 {100 * result.accuracy:.2f} %, {result.cost:.4f} G; exits '
        f'{count}; thresholds {limits}'
    )


def _points(results: Sequence[ExitResult]) -> tuple[list, list]:
    costs = [result.cost for result in results]
    return costs, [100 * result.accuracy for result in results]
