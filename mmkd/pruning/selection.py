"""Which layers a run prunes: its settings, and what they find in a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from mmkd.pruning.compaction.coupled import CoupledGroup
from mmkd.pruning.coupled_targets import couple_targets, planned_zeros
from mmkd.pruning.granularity import check_granularity
from mmkd.pruning.scores import check_rate
from mmkd.pruning.targets import (
    DEFAULT_EXCLUDE,
    Target,
    as_patterns,
    find_targets,
    zero_counts,
)


@dataclass(frozen=True)
class Selection:
    """What is pruned in a model.

    Args:
        targets: in the order of the model's modules.
        granularity: ``'filter'`` or ``'weight'``.
        groups: of all targets, if these are coupled.
        left_out: targets that could not be coupled -> why.
    """

    targets: list[Target]
    granularity: str = 'filter'
    groups: list[CoupledGroup] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def zero_counts(self) -> list[tuple[int, int]]:
        """Return (zeros, all) of every target, as it is now."""
        return zero_counts(self.targets, self.granularity)

    def planned_zeros(self) -> dict[str, int]:
        """Return how many filters, or weights, of each target become zero."""
        return planned_zeros(self.targets, self.groups, self.granularity)


@dataclass(frozen=True)
class TargetChoice:
    """Which layers are pruned, and at which final rate.

    Args:
        pruning_rate: final share P of every layer, in [0, 1).
        layer_rates: regular expression of paths -> other final share.
        include: regular expressions of the paths of convolutions; None for
            those inside modules called ``backbone``, see `find_targets`.
        exclude: regular expressions of paths to leave out.
        granularity: ``'filter'``, or ``'weight'`` for single weights.
        coupled: our extension: layers that add to the same channels lose
            the same ones, those of the least sum of squared norms, with
            biases and batch norms. Every zero filter can then be removed.
            Shortcuts, which ``exclude`` names by default, count as targets.
        input_shape: (C, H, W) of the run that finds coupled layers;
            defaults to the size that the data preprocessor pads to, else
            (3, 224, 224).

    Raises:
        ValueError: a rate is out of range, the granularity is unknown, or
            single weights are to be coupled.
    """

    pruning_rate: float = 0.3
    layer_rates: Mapping[str, float] | None = None
    include: Sequence[str] | None = None
    exclude: Sequence[str] = DEFAULT_EXCLUDE
    granularity: str = 'filter'
    coupled: bool = False
    input_shape: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Check what does not need a model."""
        check_rate(self.pruning_rate)
        check_granularity(self.granularity)
        if self.coupled and self.granularity == 'weight':
            raise ValueError(
                "pruning: coupled=True with granularity='weight': only whole "
                "filters can be removed together; set granularity='filter' "
                'or coupled=False'
            )

    @property
    def excluded(self) -> list[str]:
        """Patterns to leave out; coupled shortcuts are not left out."""
        given = as_patterns(self.exclude) or []
        if self.coupled:
            return [key for key in given if key not in DEFAULT_EXCLUDE]
        return given

    def select(self, model: nn.Module) -> Selection:
        """Return what is pruned in ``model``, which is not wrapped.

        Raises:
            ValueError: see `find_targets` and `couple_targets`.
        """
        targets = find_targets(
            model,
            self.pruning_rate,
            self.include,
            self.excluded,
            self.layer_rates,
            self.granularity,
        )
        if not self.coupled:
            return Selection(targets, self.granularity)
        targets, groups, left_out = couple_targets(
            model, targets, self.input_shape
        )
        return Selection(targets, self.granularity, groups, left_out)
