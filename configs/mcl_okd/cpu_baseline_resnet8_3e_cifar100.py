# The network alone, 3 epochs of a fifth of the images, for one CPU core.
_base_ = '../dml/cpu_baseline_resnet8_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=0.2))
max_epochs = 3
param_scheduler = dict(T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
