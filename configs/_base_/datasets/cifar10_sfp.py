# CIFAR-10 with the mean and deviation (RGB) of SFP's code.
_base_ = 'cifar10.py'
data_preprocessor = dict(mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7])
