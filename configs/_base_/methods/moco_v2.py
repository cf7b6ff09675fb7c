# MoCo v2: a hidden layer in the neck, of the width of the features
# (512 of ResNet-18), and temperature 0.2.
_base_ = 'moco.py'
method = dict(
    aux_heads=dict(embeds=dict(num_layers=2, hidden_channels=512)),
    losses=dict(moco=dict(temperature=0.2)),
)
