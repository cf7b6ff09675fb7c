# OKDHP's for COCO. Its files say 4 images on one GPU, which the files for MPII
# say too, where the launch script makes it 16: the batch is ours.
_base_ = 'adam_okdhp_mpii_150.py'
train_cfg = dict(max_epochs=140)
default_hooks = dict(checkpoint=dict(save_best='coco/AP'))
