# First phase of FT: an autoencoder of the teacher's last map.
loss = dict(type='mmkd.ParaphraserLoss', on=dict(teacher='last'))
