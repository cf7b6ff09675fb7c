# NST: distribution of the channels of all stages.
loss = dict(type='mmkd.NSTLoss', on='stages', loss_weight=50.0)
