# The network alone on the first 20 classes of CIFAR-100, ordinary shuffling:
# batch 64, 6 epochs, bfloat16; less than a minute on one CPU core.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/resnet8.py',
    '../_base_/schedules/cpu_cifar_20e.py',
    '../_base_/cls_runtime.py',
]
num_classes = 20
max_epochs = 6
model = dict(head=dict(num_classes=num_classes))
data_preprocessor = dict(num_classes=num_classes, channels_last=True)
train_dataloader = dict(batch_size=64, dataset=dict(label_limit=num_classes))
val_dataloader = dict(dataset=dict(label_limit=num_classes))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.05))
param_scheduler = dict(T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
default_hooks = dict(logger=dict(interval=25))
