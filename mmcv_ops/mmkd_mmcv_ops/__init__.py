"""Operators of mmcv 2.1 made of torch and torchvision.

Each function is called by ``mmcv.ops`` as the compiled one is: same order
of arguments, results written into tensors that the caller made. They run
where their tensors are, CPU or CUDA. Half precision is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable

from .attention import ms_deform_attn_backward, ms_deform_attn_forward
from .boxes import bbox_overlaps, nms, nms_match, softnms
from .carafe import (
    carafe_backward,
    carafe_forward,
    carafe_naive_backward,
    carafe_naive_forward,
)
from .deform_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from .deform_roi_pool import deform_roi_pool_backward, deform_roi_pool_forward
from .focal_loss import (
    sigmoid_focal_loss_backward,
    sigmoid_focal_loss_forward,
    softmax_focal_loss_backward,
    softmax_focal_loss_forward,
)
from .info import get_compiler_version, get_compiling_cuda_version
from .masked_conv import masked_col2im_forward, masked_im2col_forward
from .missing import missing_operator
from .psa_mask import psamask_backward, psamask_forward
from .roi_align import roi_align_backward, roi_align_forward
from .roi_pool import roi_pool_backward, roi_pool_forward

__all__ = ['OPERATORS', '__version__', 'missing_operator']
__version__ = '1.0.0'

OPERATORS: dict[str, Callable] = {
    function.__name__: function
    for function in (
        bbox_overlaps,
        carafe_backward,
        carafe_forward,
        carafe_naive_backward,
        carafe_naive_forward,
        deform_conv_backward_input,
        deform_conv_backward_parameters,
        deform_conv_forward,
        deform_roi_pool_backward,
        deform_roi_pool_forward,
        get_compiler_version,
        get_compiling_cuda_version,
        masked_col2im_forward,
        masked_im2col_forward,
        modulated_deform_conv_backward,
        modulated_deform_conv_forward,
        ms_deform_attn_backward,
        ms_deform_attn_forward,
        nms,
        nms_match,
        psamask_backward,
        psamask_forward,
        roi_align_backward,
        roi_align_forward,
        roi_pool_backward,
        roi_pool_forward,
        sigmoid_focal_loss_backward,
        sigmoid_focal_loss_forward,
        softmax_focal_loss_backward,
        softmax_focal_loss_forward,
        softnms,
    )
}
