# ReviewKD: ResNet-110 teaches ResNet-32.
_base_ = [
    '../_base_/pairs/resnet110_resnet32.py',
    '../_base_/methods/review_kd.py',
]
review = _base_.loss
review.update(loss_weight=1.0)
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
            **review,
        ),
    ),
)
