# ReviewKD: ResNet-32x4 teaches ShuffleNetV2.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v2.py',
    '../_base_/methods/review_kd.py',
]
review = _base_.loss
review.update(loss_weight=8.0)
model = dict(
    taps=dict(
        review=dict(
            student=[
                'backbone.layer{1,2,3}',
                'neck',
            ],
            teacher=[
                'backbone.layer{1,2,3}.4.relu:input',
                'neck',
            ],
        ),
    ),
    losses=dict(
        review=dict(
            fusion=dict(
                type='mmkd.ReviewFusion',
                student_channels=[116, 232, 464, 1024],
                teacher_channels=[64, 128, 256, 256],
            ),
            **review,
        ),
    ),
)
