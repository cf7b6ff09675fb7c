# ReviewKD: VGG-13 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/vgg13_mobilenet_v2.py',
    '../_base_/methods/review_kd.py',
]
model = dict(
    taps=dict(
        review=dict(
            student=[
                'backbone.layer{1,2,3,4}',
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
                student_channels=[12, 16, 48, 160, 1280],
                teacher_channels=[128, 256, 512, 512, 512],
            ),
            **_base_.loss,
        ),
    ),
)
