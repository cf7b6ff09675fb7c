"""mmkd: knowledge distillation, online mutual learning and pruning for the
OpenMMLab task repositories.

Importing mmkd is light: it imports no task repository. It makes two things
work that mmengine leaves open: ``mmkd::...`` config bases, and reading
checkpoints with ``weights_only=True`` (the default of torch >= 2.6).
"""

from mmengine.config import utils as _config_utils

from mmkd.checkpoints.read import allow_mmengine_checkpoints
from mmkd.version import __version__

__all__ = ['__version__']

_config_utils.MODULE2PACKAGE.setdefault('mmkd', 'mmkd')
allow_mmengine_checkpoints()
