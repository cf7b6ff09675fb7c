# ReviewKD: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
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
                'backbone.layer{1,2,3}.17.relu:input',
                'neck',
            ],
        ),
    ),
    losses=dict(
        review=dict(
            fusion=dict(
                type='mmkd.ReviewFusion',
                student_channels=[16, 32, 64, 64],
                teacher_channels=[16, 32, 64, 64],
            ),
            **_base_.loss,
        ),
    ),
)
