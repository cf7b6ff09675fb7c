# The network alone, 5 epochs: 2 minutes on one CPU core.
_base_ = '../dml/cpu_baseline_resnet8_cifar100.py'
max_epochs = 5
param_scheduler = dict(T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
