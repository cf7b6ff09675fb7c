# CIRKD on Pascal VOC: weights of 0.01, as published. With 0.1 users found it
# below the student alone.
_base_ = 'cirkd.py'
method = dict(
    losses=dict(memory=dict(pixel_loss_weight=0.01, region_loss_weight=0.01))
)
