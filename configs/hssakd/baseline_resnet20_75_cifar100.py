# ResNet-20 alone, 75 % of the training images.
_base_ = 'baseline_resnet20_cifar100.py'
train_dataloader = dict(dataset=dict(fraction=0.75))
