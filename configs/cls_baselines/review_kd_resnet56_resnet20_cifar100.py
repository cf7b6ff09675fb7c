# ReviewKD: ResNet-56 teaches ResNet-20.
_base_ = [
    '../_base_/pairs/resnet56_resnet20.py',
    '../_base_/methods/review_kd.py',
]
review = _base_.loss
review.update(loss_weight=0.6)
model = dict(
    taps=dict(
        review=dict(
            student=[
                'backbone.layer{1,2,3}',
                'neck',
            ],
            teacher=[
                'backbone.layer{1,2,3}.8.relu:input',
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
