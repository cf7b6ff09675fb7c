# ReviewKD: ResNet-32x4 teaches ResNet-8x4.
_base_ = [
    '../_base_/pairs/resnet32x4_resnet8x4.py',
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
                student_channels=[64, 128, 256, 256],
                teacher_channels=[64, 128, 256, 256],
            ),
            **_base_.loss,
        ),
    ),
)
