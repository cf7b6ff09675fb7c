# ReviewKD: VGG-13 teaches VGG-8.
_base_ = [
    '../_base_/pairs/vgg13_vgg8.py',
    '../_base_/methods/review_kd.py',
]
model = dict(
    taps=dict(
        review=dict(
            student=[
                'backbone.layer{2,3,4,5}',
                'neck',
            ],
            teacher=[
                'backbone.layer{2,3,4,5}.6:input',
                'neck',
            ],
        ),
    ),
    losses=dict(
        review=dict(
            fusion=dict(
                type='mmkd.ReviewFusion',
                student_channels=[128, 256, 512, 512, 512],
                teacher_channels=[128, 256, 512, 512, 512],
            ),
            **_base_.loss,
        ),
    ),
)
