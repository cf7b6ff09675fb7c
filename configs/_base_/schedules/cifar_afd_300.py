# AFD's logit phase: 300 epochs, weight decay 1e-4, lr x 0.1 after 150 and 225;
# Nesterov and batch 128 are recalled.
_base_ = 'cifar_step_300.py'
optim_wrapper = dict(optimizer=dict(weight_decay=1e-4))
