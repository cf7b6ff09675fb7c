"""A cohort of one network in several widths (OEM)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from mmengine.config import ConfigDict

from mmkd.models.cohorts.cohort import Cohort
from mmkd.models.cohorts.widths import scale_width
from mmkd.networks import build_network, network_dict
from mmkd.registry import MODELS
from mmkd.utils.meta_copy import COPIES, run_copy, runnable_shape

_GRADIENTS = ('all', 'first')
#: text of backbone and neck -> channels that the head reads
_measured: dict[str, int] = {}


@MODELS.register_module()
class CompressedCohort(Cohort):
    """Students compressed by width from one network, which is the first.

    Student j of n has floor(c (n - j) / n) channels where the network has
    c; depth and stem are unchanged. ``head.in_channels`` follows. Every
    student is a complete ordinary network with a config of its own
    (`peer_configs`), and can be exported. Paper:
    https://arxiv.org/abs/2011.07449.

    Args:
        peer: the network: a config name or model dict.
        num_students: n, the network itself included.
        compressed_stages: how many stages are compressed, from the last;
            None is all. Backbones with one number for all take None.
        width: the settings that say widths, as paths in the peer, e.g.
            ``['backbone.base_channels']``. None looks for the argument of
            the backbone: ``stage_channels``, ``growth_rate``,
            ``widen_factor``, ``width_factor`` or ``base_channels``.
        shared: see `Cohort`; the stem by default.
        stem_gradient: ``'all'``: every student trains what is shared;
            ``'first'``: the uncompressed one alone.
        init_cfg: see mmengine's BaseModule.

    Raises:
        ValueError: a compression leaves nothing of a stage, or a student
            cannot be built.
    """

    #: the configs of the peers stand nowhere else: they are exported, too
    writes_configs = True

    def __init__(
        self,
        peer: Any,
        num_students: int = 5,
        compressed_stages: int | None = None,
        width: Sequence[str] | None = None,
        shared: Sequence[Any] = ('stem',),
        stem_gradient: str = 'all',
        init_cfg: dict | None = None,
    ) -> None:
        if stem_gradient not in _GRADIENTS:
            raise ValueError(
                f"cohort.stem_gradient='{stem_gradient}' is not known; choose "
                f'one of {", ".join(_GRADIENTS)}'
            )
        config = dict(
            peer=peer,
            num_students=num_students,
            compressed_stages=compressed_stages,
            width=width,
        )
        super().__init__(self.peer_configs(config), shared, init_cfg=init_cfg)
        self.sharing.first_only = stem_gradient == 'first'

    @classmethod
    def peer_configs(cls, config: Mapping[str, Any]) -> list[Any]:
        """Return the dict of every student, the uncompressed one first."""
        count = config.get('num_students', 5)
        width = config.get('width')
        if not isinstance(count, int) or count < 2:
            raise ValueError(
                f'cohort.num_students={count!r} must be a number from 2 on: '
                'the network and its compressed students'
            )
        if isinstance(width, str):
            raise TypeError(
                f"cohort.width='{width}' is text, not a list: write "
                f"width=['{width}']"
            )
        peer = network_dict(_spec(config.get('peer')))
        students = [peer]
        for number in range(1, count):
            try:
                small = ConfigDict(
                    scale_width(
                        peer,
                        Fraction(count - number, count),
                        config.get('compressed_stages'),
                        width,
                    )
                )
                _fit_head(small, width)
            except ValueError as error:
                if '0 channels' not in str(error):
                    raise
                raise ValueError(
                    f'CompressedCohort: student {number} of {count} would '
                    f'have {error}'
                ) from None
            students.append(small)
        return students


def _spec(peer: Any) -> Any:
    if not isinstance(peer, (str, dict)):
        raise TypeError(
            f'cohort.peer is a {type(peer).__name__}: CompressedCohort makes '
            'narrower networks of a config, so give a model dict, or the name '
            'of a config'
        )
    return peer


def _fit_head(network: ConfigDict, width: Sequence[str] | None) -> None:
    """Set ``head.in_channels`` to what the narrower backbone gives."""
    head = network.get('head')
    if not isinstance(head, dict) or 'in_channels' not in head:
        return
    if 'head.in_channels' in (width or ()):
        return
    parts = {
        key: copy.deepcopy(network[key])
        for key in ('type', '_scope_', 'backbone', 'neck')
        if network.get(key) is not None
    }
    text = repr(parts)
    if text not in _measured:
        _measured[text] = _measure(parts)
    head['in_channels'] = _measured[text]


def _measure(parts: dict[str, Any]) -> int:
    """Return how many channels come out of backbone and neck.

    Random state stays as it is.

    Raises:
        ValueError: they cannot be built, or do not run.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            network = build_network(parts).eval()
            shape = runnable_shape(network)
            feats = run_copy(COPIES[0](network), 2, shape)
        except (ValueError, RuntimeError, AssertionError) as error:
            raise ValueError(
                'CompressedCohort: a student of backbone='
                f'{dict(parts["backbone"])} cannot be built ({error}): '
                'its widths must be positive and divisible by its groups; '
                'choose another num_students, or say by cohort.width which '
                'settings are widths'
            ) from error
    while not isinstance(feats, torch.Tensor):
        feats = feats[-1]
    return int(feats.shape[1])
