# CIRKDv2 with 150 classes and more: queues of 7 to 8 GB (512 channels), kept
# out of the checkpoints.
_base_ = 'cirkd_v2.py'
method = dict(losses=dict(memory=dict(checkpoint_queues=False)))
