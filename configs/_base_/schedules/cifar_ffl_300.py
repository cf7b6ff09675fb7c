# FFL's own code: 300 epochs (its loop runs one more), batch 128, weight decay
# 1e-4, lr x 0.1 after 150 and 225.
_base_ = 'cifar_step_300.py'
optim_wrapper = dict(optimizer=dict(weight_decay=1e-4))
