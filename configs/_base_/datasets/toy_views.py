# Synthetic scenes without labels: two crops of each, one perhaps flipped.
_base_ = 'toy_cls.py'
data_preprocessor = dict(num_views=2)
train_dataloader = dict(
    batch_size=32,
    drop_last=True,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
)
val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None
