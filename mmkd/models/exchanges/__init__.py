"""Exchanges: what the peers of a cohort do to each other, one per method."""

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.collaborative_exchange import CollaborativeExchange
from mmkd.models.exchanges.diverse_peers_exchange import DiversePeersExchange
from mmkd.models.exchanges.gated_ensemble_exchange import GatedEnsembleExchange
from mmkd.models.exchanges.hierarchical_mutual_exchange import (
    HierarchicalMutualExchange,
)
from mmkd.models.exchanges.knowledge_collaboration_exchange import (
    KnowledgeCollaborationExchange,
)
from mmkd.models.exchanges.layerwise_mutual_contrastive_exchange import (
    LayerwiseMutualContrastiveExchange,
    MemoryLayerwiseMutualContrastiveExchange,
)
from mmkd.models.exchanges.logit_ensemble_exchange import LogitEnsembleExchange
from mmkd.models.exchanges.loss_exchange import LossExchange
from mmkd.models.exchanges.memory_mutual_contrastive_exchange import (
    MemoryMutualContrastiveExchange,
)
from mmkd.models.exchanges.mutual_contrastive_exchange import (
    MutualContrastiveExchange,
)
from mmkd.models.exchanges.mutual_exchange import MutualExchange
from mmkd.models.exchanges.transfer import CohortSpec, Transfer

__all__ = [
    'CohortSpec',
    'CollaborativeExchange',
    'DiversePeersExchange',
    'Exchange',
    'GatedEnsembleExchange',
    'HierarchicalMutualExchange',
    'KnowledgeCollaborationExchange',
    'LayerwiseMutualContrastiveExchange',
    'LogitEnsembleExchange',
    'LossExchange',
    'MemoryLayerwiseMutualContrastiveExchange',
    'MemoryMutualContrastiveExchange',
    'MutualContrastiveExchange',
    'MutualExchange',
    'Transfer',
]
