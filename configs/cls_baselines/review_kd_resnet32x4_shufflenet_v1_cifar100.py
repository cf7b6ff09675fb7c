# ReviewKD: ResNet-32x4 teaches ShuffleNetV1.
_base_ = [
    '../_base_/pairs/resnet32x4_shufflenet_v1.py',
    '../_base_/methods/review_kd.py',
]
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
                student_channels=[240, 480, 960, 960],
                teacher_channels=[64, 128, 256, 256],
            ),
            **_base_.loss,
        ),
    ),
)
