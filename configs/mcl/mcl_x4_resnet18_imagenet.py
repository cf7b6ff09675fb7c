# MCL with a memory, four branches on shared stem and stages 1 and 2:
# ResNet-18.
_base_ = 'mcl_x2_resnet18_imagenet.py'
model = dict(
    cohort=dict(
        peers=[_base_.model.cohort.peers[0]] * 4,
        shared=['stem', 'stage1', 'stage2'],
    ),
    exchange=dict(loss=dict(num_peers=4)),
)
