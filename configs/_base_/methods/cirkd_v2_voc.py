# CIRKDv2 on Pascal VOC: weights of the memory as in CIRKD, and
# of 10 on the features.
_base_ = 'cirkd_v2.py'
method = dict(
    losses=dict(
        memory=dict(pixel_loss_weight=0.01, region_loss_weight=0.01),
        fitnet=dict(loss_weight=10.0),
    )
)
