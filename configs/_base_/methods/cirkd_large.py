# CIRKD with 150 classes and more: the queues are 3.4 GB (ADE20K) and 4.1 GB
# (COCO-Stuff), so they stay out of the checkpoints. A resumed run fills them
# anew; drop the last line for exact resuming.
_base_ = 'cirkd.py'
method = dict(losses=dict(memory=dict(checkpoint_queues=False)))
