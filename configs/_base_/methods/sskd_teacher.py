# SSKD, first phase: only the teacher's head learns, 60 epochs.
_base_ = 'sskd.py'
loss = dict(
    _delete_=True, type='mmkd.RotatedMatchLoss', on='embeds_t', num_rotations=4
)
head_schedule = dict(milestones=[30, 45])
sixty_epochs = dict(max_epochs=60, val_interval=60)
last_checkpoint = dict(checkpoint=dict(save_best=None))
