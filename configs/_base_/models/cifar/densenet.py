# DenseNet-BC of MCL-OKD ("DenseNet-40-12" in its tables): blocks of 6-6-6
# units with bottlenecks, growth 12.
_base_ = 'wrn_16_2.py'  # its head: PyTorch's default weight, bias 0
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd.CIFARDenseNet',
        num_units=(6, 6, 6),
        growth=12,
    ),
    head=dict(in_channels=132),
)
