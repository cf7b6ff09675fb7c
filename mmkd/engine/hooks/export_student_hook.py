"""Plain checkpoints of the deployed network at the end of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import nn

from mmkd.checkpoints.export import save_plain, write_config
from mmkd.checkpoints.read import read_checkpoint
from mmkd.deploy import Deployment, load_network_weights
from mmkd.registry import HOOKS
from mmkd.utils.dist import sharded, unwrapped


@HOOKS.register_module()
class ExportStudentHook(Hook):
    """Write the deployed network so that its own repository loads it.

    ``student.pth`` has the final weights (the averaged ones under an
    ``EMAHook``), ``student_best.pth`` those of the best checkpoint where
    ``save_best`` is set (``student_best_<metric>.pth`` where it names
    several). A cohort with ``deploy='all'`` writes ``student_peer0.pth``
    and so on. Reading them needs no teacher and no mmkd. A student of a
    `CompressedCohort` has its config beside it, ``student_peer1.py``.

    Args:
        out_dir: folder; defaults to the work directory.
        name: the file name without ``.pth``.
    """

    priority = 'LOWEST'

    def __init__(
        self, out_dir: str | None = None, name: str = 'student'
    ) -> None:
        self.out_dir = out_dir
        self.name = name

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Write the files; not of sharded weights."""
        if sharded(runner.model):
            runner.logger.warning(
                'ExportStudentHook writes nothing: the weights are sharded '
                'over the processes. Make the plain file of the last '
                'checkpoint: python tools/export_student.py CONFIG CHECKPOINT'
            )
            return
        model = unwrapped(runner.model)
        folder = Path(self.out_dir or runner.work_dir)
        try:
            networks = _deployed(model)
        except ValueError as error:  # an auxiliary classifier of a cohort
            runner.logger.warning(f'No plain network is written: {error}')
            return
        averages = [h for h in runner.hooks if isinstance(h, EMAHook)]
        for hook in averages:
            hook.before_val_epoch(runner)  # swaps the averaged weights in
        try:
            for suffix, (network, peer) in networks.items():
                path = folder / f'{self.name}{suffix}.pth'
                self._write(runner, network, path)
                written = write_config(runner.cfg, path, peer)
                if written is not None:
                    runner.logger.info(f'Its config is saved to {written}.')
        finally:
            for hook in averages:
                hook.after_val_epoch(runner)
        for key, best in runner.message_hub.runtime_info.items():
            if key.startswith('best_ckpt') and best is not None:
                name = key.removeprefix('best_ckpt').replace('/', '_')
                stem = str(folder / f'{self.name}_best{name}')
                self._write_best(runner, model, best, stem)

    def _write_best(
        self, runner: Runner, model: Any, best: str, stem: str
    ) -> None:
        if not Path(best).is_file():
            runner.logger.warning(
                f'The best checkpoint {best} is gone: {stem}.pth is not '
                'written.'
            )
            return
        state = read_checkpoint(best)['state_dict']
        weights = getattr(model, 'deployment', Deployment()).weights
        for suffix, (network, peer) in _deployed(model, state).items():
            final = {
                key: value.clone()
                for key, value in network.state_dict().items()
            }
            try:
                load_network_weights(
                    network,
                    best,
                    role='best',
                    peer=peer,
                    weights=weights,
                    state=state,
                )
                self._write(runner, network, Path(f'{stem}{suffix}.pth'))
            finally:
                network.load_state_dict(final)

    def _write(self, runner: Runner, network: nn.Module, path: Path) -> None:
        dataset = runner.train_dataloader.dataset
        save_plain(network, path, getattr(dataset, 'metainfo', None))
        runner.logger.info(f'The plain network is saved to {path}.')


def _deployed(
    model: Any, state: dict[str, Any] | None = None
) -> dict[str, tuple[nn.Module, int | None]]:
    """Return suffix of the file -> network and index of the peer."""
    if hasattr(model, 'deployed_networks'):
        return model.deployed_networks(state)
    return {'': (getattr(model, 'deployed', model), None)}
