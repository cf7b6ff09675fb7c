# The student alone: a quarter of the training images, 10 epochs. What teaches
# it on one CPU core has the same budget.
_base_ = '../dml/cpu_baseline_resnet8_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=0.25))
max_epochs = 10
param_scheduler = dict(T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
