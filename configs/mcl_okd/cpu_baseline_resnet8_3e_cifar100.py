# The network alone, 3 epochs: 1 minute on one CPU core.
_base_ = '../dml/cpu_baseline_resnet8_cifar100.py'
max_epochs = 3
param_scheduler = dict(T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
