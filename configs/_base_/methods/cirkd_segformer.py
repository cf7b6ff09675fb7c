# CIRKD with SegFormer: maps of stride 4, averaged over 2x2 pixels for the
# mini-batch relation; 2000 pixels per class in the memory.
_base_ = 'cirkd.py'
method = dict(
    losses=dict(
        minibatch=dict(pool=2),
        memory=dict(pixel_memory_size=2000),
    )
)
