# CIFAR-100 by ReviewKD's authors: batches of 128, lr 0.1 for every network,
# Nesterov's momentum; otherwise as in the CRD benchmark.
_base_ = 'cifar100_crd.py'
data_preprocessor = dict(mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7])
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=0.1, nesterov=True))
