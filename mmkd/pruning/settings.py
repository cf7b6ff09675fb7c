"""All settings of a pruned training, by concept."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from mmkd.pruning.methods import METHOD, PruningSchedule
from mmkd.pruning.scores import check_norm
from mmkd.pruning.selection import TargetChoice


@dataclass(frozen=True)
class Masking:
    """How filters are ranked, and what is damped beside them.

    Args:
        norm: order of the norm that ranks filters.
        mask_bn: damp weight and bias of batch norms behind pruned filters.
        mask_momentum: zero the momentum of hard-pruned filters, which else
            moves them until the next mask.

    Raises:
        ValueError: ``norm`` is no positive number.
    """

    norm: float = 2
    mask_bn: bool = False
    mask_momentum: bool = False

    def __post_init__(self) -> None:
        """Check the order of the norm."""
        check_norm(self.norm)


@dataclass(frozen=True)
class PruningSettings:
    """What is pruned, how much at which step, and how.

    Args:
        choice: which layers, at which final rate.
        schedule: which share of that rate, and how strongly, at a step.
        masking: how filters are ranked, and what else is damped.

    Raises:
        ValueError: two of them do not go together.
    """

    choice: TargetChoice
    schedule: PruningSchedule
    masking: Masking

    def __post_init__(self) -> None:
        """Check what concerns two of the parts."""
        if self.masking.mask_bn and self.choice.granularity == 'weight':
            raise ValueError(
                "pruning: mask_bn=True with granularity='weight': a single "
                'weight has no batch norm; set mask_bn=False'
            )
        if self.masking.mask_momentum and self.schedule.hard_ratio is None:
            raise ValueError(
                'pruning: mask_momentum=True acts on what is pruned for '
                "good, but nothing is; set method='ghfp' or "
                "hard_ratio='cubic'"
            )

    @classmethod
    def of(
        cls,
        method: str = 'sfp',
        rate_schedule: Any = METHOD,
        decay: Any = METHOD,
        hard_ratio: Any = METHOD,
        **others: Any,
    ) -> PruningSettings:
        """Return the settings that the keywords of a config stand for.

        Args:
            method: see `PruningSchedule.of_method`.
            rate_schedule: likewise.
            decay: likewise.
            hard_ratio: likewise.
            others: fields of `TargetChoice` and of `Masking`.

        Raises:
            TypeError: a keyword is unknown.
            ValueError: a value is unknown or out of range.
        """
        known = [*_names(TargetChoice), *_names(Masking)]
        unknown = [key for key in others if key not in known]
        if unknown:
            raise TypeError(
                f'pruning: there is no setting {", ".join(unknown)}; beside '
                'method, rate_schedule, decay and hard_ratio there are '
                f'{", ".join(known)}'
            )

        def own(part: Any) -> Any:
            names = [key for key in _names(part) if key in others]
            return part(**{key: others[key] for key in names})

        schedule = PruningSchedule.of_method(
            method, rate_schedule, decay, hard_ratio
        )
        return cls(own(TargetChoice), schedule, own(Masking))


def _names(part: Any) -> list[str]:
    return [each.name for each in fields(part)]
