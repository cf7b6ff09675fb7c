"""mmkd: knowledge distillation, online mutual learning and pruning for the
OpenMMLab task repositories.

Importing mmkd is light: it imports no task repository. It makes two things
work that mmengine leaves open: ``mmkd::...`` config bases, and reading
checkpoints without running code from them (and ``.safetensors``).
"""

from mmengine.config import utils as _config_utils

from mmkd.checkpoints.loading import read_for_all_of_mmengine
from mmkd.checkpoints.read import allow_mmengine_checkpoints
from mmkd.version import __version__

__all__ = ['__version__']

_config_utils.MODULE2PACKAGE.setdefault('mmkd', 'mmkd')
allow_mmengine_checkpoints()
read_for_all_of_mmengine()
