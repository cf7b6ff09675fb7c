"""Exchanges: what the peers of a cohort do to each other, one per method."""

from mmkd.models.exchanges.adversarial_feature_exchange import (
    AdversarialFeatureExchange,
)
from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.collaborative_exchange import CollaborativeExchange
from mmkd.models.exchanges.diverse_peers_exchange import DiversePeersExchange
from mmkd.models.exchanges.feature_fusion_exchange import FeatureFusionExchange
from mmkd.models.exchanges.gated_ensemble_exchange import GatedEnsembleExchange
from mmkd.models.exchanges.heatmap_aggregation_exchange import (
    HeatmapAggregationExchange,
)
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
from mmkd.models.exchanges.multi_view_contrast_exchange import (
    MultiViewContrastExchange,
)
from mmkd.models.exchanges.mutual_contrastive_exchange import (
    MutualContrastiveExchange,
)
from mmkd.models.exchanges.mutual_exchange import MutualExchange
from mmkd.models.exchanges.online_ensemble_exchange import (
    OnlineEnsembleExchange,
)
from mmkd.models.exchanges.peer_collaborative_exchange import (
    PeerCollaborativeExchange,
)
from mmkd.models.exchanges.transfer import CohortSpec, Transfer

__all__ = [
    'AdversarialFeatureExchange',
    'CohortSpec',
    'CollaborativeExchange',
    'DiversePeersExchange',
    'Exchange',
    'FeatureFusionExchange',
    'GatedEnsembleExchange',
    'HeatmapAggregationExchange',
    'HierarchicalMutualExchange',
    'KnowledgeCollaborationExchange',
    'LayerwiseMutualContrastiveExchange',
    'LogitEnsembleExchange',
    'LossExchange',
    'MemoryLayerwiseMutualContrastiveExchange',
    'MemoryMutualContrastiveExchange',
    'MultiViewContrastExchange',
    'MutualContrastiveExchange',
    'MutualExchange',
    'OnlineEnsembleExchange',
    'PeerCollaborativeExchange',
    'Transfer',
]
