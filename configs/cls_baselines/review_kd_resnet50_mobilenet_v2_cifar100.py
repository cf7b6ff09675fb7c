# ReviewKD: ResNet-50 teaches MobileNetV2.
_base_ = [
    '../_base_/pairs/resnet50_mobilenet_v2.py',
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
                'backbone.layer{1,2,3,4}',
                'neck',
            ],
        ),
    ),
    losses=dict(
        review=dict(
            fusion=dict(
                type='mmkd.ReviewFusion',
                student_channels=[12, 16, 48, 160, 1280],
                teacher_channels=[256, 512, 1024, 2048, 2048],
            ),
            **_base_.loss,
        ),
    ),
)
