# Synthetic scenes of 64x64 with one object each: no files.
_base_ = 'toy_cls.py'
train_dataloader = dict(dataset=dict(size=(64, 64), num_samples=1400))
val_dataloader = dict(dataset=dict(size=(64, 64)))
test_dataloader = val_dataloader
