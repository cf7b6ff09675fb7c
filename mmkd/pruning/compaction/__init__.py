"""From zero filters to a smaller network with the same outputs."""

from mmkd.pruning.compaction.compactor import CompactionReport, compact
from mmkd.pruning.compaction.coupled import (
    CoupledGroup,
    coupled_groups,
    mask_coupled,
)
from mmkd.pruning.compaction.verify import CompactionError

__all__ = [
    'CompactionError',
    'CompactionReport',
    'CoupledGroup',
    'compact',
    'coupled_groups',
    'mask_coupled',
]
