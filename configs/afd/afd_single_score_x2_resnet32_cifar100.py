# AFD, two ResNet-32, with the discriminator of a re-implementation: one score
# for a 4x4 map (3x3 scores for the 8x8 maps here).
_base_ = 'afd_x2_resnet32_cifar100.py'
model = dict(exchange=dict(discriminator=dict(preset='single_score')))
