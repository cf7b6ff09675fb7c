"""mmkd: knowledge distillation, online mutual learning and pruning for the
OpenMMLab task repositories.

Importing mmkd is light: it imports no task repository. It makes three things
work that are left open elsewhere: ``mmkd::...`` config bases, reading
checkpoints without running code from them (and ``.safetensors``), and
mmpretrain beside a new version of transformers.
"""

from mmengine.config import utils as _config_utils

from mmkd.checkpoints.loading import read_for_all_of_mmengine
from mmkd.checkpoints.read import allow_mmengine_checkpoints
from mmkd.utils.multimodal import leave_out_multimodal_models
from mmkd.version import __version__

__all__ = ['__version__']

_config_utils.MODULE2PACKAGE.setdefault('mmkd', 'mmkd')
allow_mmengine_checkpoints()
read_for_all_of_mmengine()
leave_out_multimodal_models()
