"""mmpretrain beside a transformers that it does not know."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from mmengine.utils import digit_version

#: the first transformers without names that mmpretrain 1.2 takes from it
TOO_NEW = '4.56'


def leave_out_multimodal_models() -> None:
    """Let mmpretrain do without its multimodal models, where it has to.

    Beside transformers 4.56 and later, importing its models ends in a
    TypeError of BLIP. Without transformers it registers placeholders for
    these models, that say so when they are built; the same happens then.
    """
    try:
        found = version('transformers')
    except PackageNotFoundError:
        return
    if digit_version(found) < digit_version(TOO_NEW):
        return
    if find_spec('mmpretrain') is None or 'mmpretrain.models' in sys.modules:
        return
    from mmpretrain.utils import dependency

    dependency.WITH_MULTIMODAL = False
