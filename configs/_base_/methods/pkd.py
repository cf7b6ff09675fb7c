# PKD on the levels of a pyramid: each channel by its correlation.
loss = dict(type='mmkd.PKDLoss', on='pyramid')
