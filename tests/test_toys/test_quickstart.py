from __future__ import annotations

import re
from pathlib import Path

import pytest

from mmkd.networks import load_config
from mmkd.toys.quickstart import (
    Options,
    Result,
    format_table,
    stage_config,
    verdict,
)

CONFIGS = Path(__file__).parents[2] / 'configs' / 'quickstart'


def result(miou: float) -> Result:
    return Result('a network', miou, 283_000, 44_000_000, 0.05, None)


@pytest.mark.parametrize(
    ('mious', 'message'),
    [
        ((50, 40, 45), '5.00 points better .* 50% of the gap'),
        ((50, 40, 39), r'NOT better than the student alone: -1\.00'),
        ((50, 40, 40), r'NOT better than the student alone: \+0\.00'),
        ((38, 40, 41), r'teacher is not better .*-2\.00.* \+1\.00'),
    ],
)
def test_verdict_says_what_happened(
    mious: tuple[float, ...], message: str
) -> None:
    text = verdict(*(result(miou) for miou in mious))
    assert re.search(message, text)


def test_table_has_a_line_per_network() -> None:
    lines = format_table([result(12.345)] * 2).splitlines()
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    for text in ('12.3', '0.283 M', '44.0 M', '0.050'):
        assert text in lines[1]


def test_length_scales_every_part_of_the_schedule(tmp_path: Path) -> None:
    options = Options(CONFIGS, tmp_path, seed=3, length=0.5)
    config = stage_config('student', options)
    assert config.train_cfg.max_iters == 300
    assert config.train_cfg.val_interval == 50
    assert config.param_scheduler[1].end == 300
    assert config.default_hooks.checkpoint.interval == 300
    assert config.randomness.seed == 3
    options = Options(CONFIGS, tmp_path, length=0.0)
    with pytest.raises(ValueError, match='--length 0.0'):
        stage_config('student', options)


def test_stages_differ_only_where_they_should(tmp_path: Path) -> None:
    """The distilled student has the data and schedule of the plain one."""
    plain = stage_config('student', Options(CONFIGS, tmp_path)).to_dict()
    distilled = load_config(str(CONFIGS / 'cirkd.py')).to_dict()
    student = distilled['model']['student']
    student.pop('_scope_', None)
    assert student == plain['model']
    for key in set(plain) - {'model', 'work_dir', 'custom_hooks'}:
        assert distilled[key] == plain[key], key
