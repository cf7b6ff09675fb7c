"""What removing zero filters saved, in words and numbers."""

from __future__ import annotations

from mmkd.pruning.export import CompactExport


def describe(export: CompactExport) -> list[str]:
    """Return the before/after table and what to know about it."""
    done = export.compaction
    shape = ' x '.join(map(str, export.input_shape))
    lines = [f'{"":24}{"masked":>12}{"compact":>12}{"saved":>9}']

    def row(name: str, before: float, after: float, unit: str) -> None:
        lines.append(
            f'{name:24}{before:12.3f}{after:12.3f}'
            f'{1 - after / before:9.1%}  {unit}'
        )

    before, after = (n / 1e6 for n in done.parameters)
    row('parameters', before, after, 'M')
    before, after = (n / 1e9 for n in export.flops)
    row('FLOPs', before, after, f'GMACs at {shape}')
    lines.append(
        f'{"FLOPs, papers count":48}{done.analytic:9.1%}  convolutions only, '
        'zero filters of residual streams as if gone'
    )
    times = {name: s * 1e3 for name, s in export.cpu_times.items()}
    if times:
        unit = f'ms CPU, 1 thread, 1 image (dense: {times["dense"]:.3f})'
        row('time', times['masked'], times['compact'], unit)
    zeros, gone = sum(done.zero_filters.values()), sum(done.removed.values())
    lines.append(f'{gone} channels removed; {zeros} filters were zero')
    lines += describe_missing(export.missing)
    for name in done.emptied:
        lines.append(f'warning: all filters of {name} are zero; one stays')
    reasons: dict[str, int] = {}
    for entry in done.skipped.values():
        reason = str(entry['reason'])
        count = int(str(entry['zero_filters']))
        reasons[reason] = reasons.get(reason, 0) + count
    for reason, count in sorted(reasons.items(), key=lambda x: -x[1])[:5]:
        lines.append(f'  {count} zero filters stay: {reason}')
    if len(reasons) > 5:
        lines.append(f'  and {len(reasons) - 5} more reasons in plan.json')
    if done.not_run:
        lines.append(f'heads left out of the comparison: {done.not_run}')
    lines.append(
        f'outputs differ from the masked network by at most '
        f'{done.max_error:.1e} of their largest value'
    )
    if export.recalibrated:
        lines.append(
            f'batch norms estimated anew on {export.recalibrated} batches: '
            'ANOTHER MODEL than the checkpoint, outputs changed by '
            f'{export.recalibration_change:.1e}; evaluate it'
        )
    if export.onnx_deviation is not None:
        lines.append(f'ONNX deviates by at most {export.onnx_deviation:.1e}')
    lines.append(
        f'written to {export.folder} ({export.seconds:.1f} s for the '
        'compaction); load with loader.py'
    )
    return lines


def describe_missing(missing: dict[str, tuple[int, int]]) -> list[str]:
    """Return a warning and a table, if zero filters are missing."""
    if not missing:
        return []
    width = max(map(len, missing))
    return [
        f'warning: {len(missing)} layers have fewer zero filters than the '
        'pruning hook of the config makes; is this the last checkpoint of '
        'that run?',
        f'  {"layer":<{width}}  zero  promised',
        *(
            f'  {name:<{width}}  {zeros:4d}  {promised:8d}'
            for name, (zeros, promised) in missing.items()
        ),
    ]
