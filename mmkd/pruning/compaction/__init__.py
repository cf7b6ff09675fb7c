"""From zero filters to a smaller network with the same outputs."""

from mmkd.pruning.compaction.compactor import CompactionReport, compact
from mmkd.pruning.compaction.coupled import (
    CoupledGroup,
    coupled_groups,
    mask_coupled,
)

__all__ = [
    'CompactionReport',
    'CoupledGroup',
    'compact',
    'coupled_groups',
    'mask_coupled',
]
