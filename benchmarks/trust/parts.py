"""The parts of the programme: what each shows, and its command."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One part of the programme.

    Args:
        title: in the table.
        shows: one sentence.
        command: arguments of ``python -m``.
        short: those of the short form.
        figures: whether ``--json FILE`` writes an entry per method.
    """

    title: str
    shows: str
    command: tuple[str, ...]
    short: tuple[str, ...]
    figures: bool = False

    def arguments(self, short: bool) -> list[str]:
        """Return the whole command."""
        given = self.short if short else self.command
        return [sys.executable, '-m', *given]


def _tests(title: str, shows: str, path: str, fast: str = '') -> Part:
    whole = ('pytest', '-q', '-p', 'no:randomly', '-n', '0')
    return Part(
        title,
        shows,
        (*whole, '-m', 'slow or not slow', path),
        (*whole, path, *(('-k', fast) if fast else ())),
    )


PARTS: dict[str, Part] = {
    'gate': Part(
        'Numerics gate',
        'ten steps of each method give the stored numbers, bit for bit',
        ('benchmarks.trust.gate',),
        ('benchmarks.trust.gate', 'DML', 'CIRKD'),
    ),
    'resume': Part(
        'Kill and resume',
        'a run killed at any moment and resumed ends as if it had not been',
        ('benchmarks.kill_and_resume',),
        ('benchmarks.kill_and_resume', 'DML', '--kills', '2'),
        figures=True,
    ),
    'doctor': Part(
        'Doctor',
        'it raises no false alarm on any shipped config with a teacher',
        ('benchmarks.trust.doctor',),
        (
            'benchmarks.trust.doctor',
            'configs/cls_baselines/kd_resnet56_resnet20_cifar100.py',
        ),
        figures=True,
    ),
    'processes': _tests(
        'Several processes',
        'two and three processes (gloo) train as one does; bfloat16 is '
        'finite and close',
        'tests/test_models/test_distillers/test_every_method_on_ranks.py',
    ),
    'peers': _tests(
        'A process that fails',
        'the others end at once, with one message',
        'tests/test_cli/test_peers.py',
    ),
    'devices': Part(
        'Devices',
        'training steps under fake CUDA tensors mix no devices',
        ('benchmarks.trust.fake_device',),
        ('benchmarks.trust.fake_device', 'DML'),
        figures=True,
    ),
    'finite': _tests(
        'Steps that are not finite',
        'they stop the run, or are left out without a trace',
        'tests/test_engine/test_hooks/test_left_out_steps.py',
    ),
    'faults': _tests(
        'Faulty configs',
        'each ends before training in one line that names key and cure',
        'tests/test_cli/test_faults.py',
        'part',
    ),
    'inputs': _tests(
        'Files that cannot be used',
        'they are named, or skipped up to the limit of the config',
        'tests/test_datasets/test_bad_samples.py',
    ),
    'soak': Part(
        'Soak',
        'over 2000 steps memory grows by less than 1 %, no file stays open, '
        'no hook stays behind',
        ('benchmarks.trust.soak',),
        ('benchmarks.trust.soak', 'DML', '--steps', '40'),
        figures=True,
    ),
}
