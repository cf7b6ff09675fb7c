# What is trained without labels is not validated: tools/linear_eval.py does.
_base_ = 'cls_runtime.py'
default_hooks = dict(checkpoint=dict(save_best=None))
