"""Distillers, losses, heads and networks."""

from mmkd.models.backbones import *  # noqa: F403
from mmkd.models.classifiers import *  # noqa: F403
from mmkd.models.cohorts import *  # noqa: F403
from mmkd.models.compact_model import compact_model  # noqa: F401
from mmkd.models.distillers import *  # noqa: F403
from mmkd.models.exchanges import *  # noqa: F403
from mmkd.models.features import *  # noqa: F403
from mmkd.models.heads import *  # noqa: F403
from mmkd.models.losses import *  # noqa: F403
from mmkd.models.necks import *  # noqa: F403
from mmkd.models.norms import *  # noqa: F403
from mmkd.models.views import *  # noqa: F403
