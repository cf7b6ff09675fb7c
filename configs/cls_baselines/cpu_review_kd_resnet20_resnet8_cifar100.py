# ReviewKD: ResNet-20 teaches ResNet-8. The warm-up is as short as the run, the
# weight that of ResNet-56 to -20.
_base_ = [
    '../_base_/pairs/cpu_resnet20_resnet8.py',
    '../_base_/methods/review_kd.py',
]
review = _base_.loss
review.update(warmup_epochs=2, loss_weight=0.6)
model = dict(losses=dict(review=review))
