"""What the discriminator of SKD, IFVD and CWD adds to a step.

    python -m benchmarks.adversarial [--steps 5]

The student of configs/seg_baselines/cpu_skd_camvid.py on random crops of 8
images: pixel KD alone, with the loss of each method, with the discriminator
too. All run in this process, in turns; the quickest step of each counts
(process CPU time).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from mmkd.toys import toy_batch  # noqa: E402

METHODS = ('skd', 'ifvd', 'cwd')


def variants(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Return name -> (model, optimizers)."""
    teacher = folder / 'teacher.pth'
    found: dict[str, tuple[Any, Any]] = {}
    for method in METHODS:
        config = Config.fromfile(
            ROOT / f'configs/seg_baselines/cpu_{method}_camvid.py'
        )
        init_default_scope(config.default_scope)
        model = config.model
        if not teacher.exists():
            network = build_network(model.teacher.config)
            torch.save(network.state_dict(), teacher)
        model.teacher.checkpoint = str(teacher)
        main = config.optim_wrapper.main
        whole = dict(model.losses)
        without = {k: v for k, v in whole.items() if k != 'adv'}
        for name, losses, wrapper in (
            ('KD', dict(kd=whole['kd']), main),
            (f'KD, {method.upper()}', without, main),
            (f'KD, {method.upper()}, discriminator', whole,
             config.optim_wrapper),
        ):  # fmt: skip
            if name not in found:
                built = MODELS.build({**model, 'losses': losses}).train()
                found[name] = built, build_optim_wrapper(built, wrapper)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--steps', type=int, default=5)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        models = variants(Path(folder))
    batch = toy_batch('segmentation', 8, (120, 120))
    best = dict.fromkeys(models, float('inf'))
    for _ in range(args.steps):
        for name, (model, wrapper) in models.items():
            start = time.process_time()
            model.train_step(batch, wrapper)
            best[name] = min(best[name], time.process_time() - start)
    print('| losses | CPU seconds per step | against KD |\n|---|---|---|')
    for name, seconds in best.items():
        print(f'| {name} | {seconds:.3f} | {seconds / best["KD"]:.2f} |')


if __name__ == '__main__':
    main()
