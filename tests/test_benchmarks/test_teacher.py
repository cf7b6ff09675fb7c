"""benchmarks/teacher.py: all variants run, on equal weights."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from benchmarks import teacher as benchmark

pytest.importorskip('mmseg')


def test_variants_are_settings_of_every_teacher():
    model = dict(teacher=[dict(dtype='float16'), dict()])
    config = Config(dict(model=model))
    changed = benchmark.with_teacher(config, dict(dtype=None, compile=True))
    assert [dict(t) for t in changed.model.teacher] == [
        dict(dtype=None, compile=True)
    ] * 2
    assert config.model.teacher[0].dtype == 'float16'


def test_every_variant_is_measured(toy, capsys):
    args = benchmark.parse_args(
        [
            *(str(toy.distiller), '--steps', '1', '--batch-size', '2'),
            *('--input-shape', '3', '32', '32'),
        ]
    )
    found = benchmark.benchmark(args)
    assert list(found) == list(benchmark.VARIANTS)
    for numbers in found.values():
        assert len(numbers) == 6
        assert all(value > 0 for value in numbers.values())
    assert found['as it is']['teacher ratio'] == 1
    assert found['as it is']['step ratio'] == 1


def test_a_step_trains_the_student_alone(toy):
    args = benchmark.parse_args([str(toy.distiller)])
    config = benchmark.read_config(args.config)
    benchmark.init_default_scope(config.default_scope)
    batch = benchmark.load_batch(config, 2, (3, 32, 32))
    teachers, step, distiller = benchmark.steps_of(
        config, batch, torch.device('cpu')
    )
    frozen = [role.network for role in distiller.roles[1:]]
    before = [p.clone() for n in frozen for p in n.parameters()]
    student = [p.clone() for p in distiller.student.parameters()]
    teachers()
    step()
    after = [p for n in frozen for p in n.parameters()]
    assert all(map(torch.equal, before, after))
    assert not all(map(torch.equal, student, distiller.student.parameters()))
