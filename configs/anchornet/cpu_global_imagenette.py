# Stage 2 on Imagenette: the whole image, shrunk to 47 pixels.
_base_ = 'cpu_full_imagenette.py'
max_epochs = 15
model = dict(type='mmkd.ResizedClassifier', input_size=47)
param_scheduler = dict(T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=15)
