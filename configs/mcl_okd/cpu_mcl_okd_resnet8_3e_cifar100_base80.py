# MCL-OKD on the first 80 classes; the other 20 are new to few-shot evaluation:
#   tools/few_shot_eval.py THIS_CONFIG CHECKPOINT \
#       configs/_base_/datasets/cifar100.py --classes 80-99
_base_ = 'cpu_mcl_okd_resnet8_3e_cifar100.py'
num_classes = 80
peer = _base_.model.cohort.peers[0]
peer.head.num_classes = num_classes
model = dict(
    cohort=dict(peers=[peer] * 4),
    exchange=dict(contrast=dict(num_samples=8000)),
)
data_preprocessor = dict(num_classes=num_classes)
train_dataloader = dict(dataset=dict(label_limit=num_classes))
val_dataloader = dict(dataset=dict(label_limit=num_classes))
test_dataloader = val_dataloader
del peer
