"""Stand-in for the compiled operators of mmcv 2.1, by torch and torchvision.

``mmcv.ops`` imports this module when no compiled ``_ext`` lies beside it:
Python prefers a compiled module of the same name, so this file never
replaces one. What it computes is in the package ``mmkd_mmcv_ops``.
"""

from mmkd_mmcv_ops import OPERATORS, missing_operator

globals().update(OPERATORS)


def __getattr__(name):
    # mmcv.ops asks for every operator by name when it is imported; one that
    # is not here fails when it is called
    if name.startswith('_'):
        raise AttributeError(name)
    return missing_operator(name)
