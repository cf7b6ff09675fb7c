# CIFAR-100 as OKDDip's authors normalise it, otherwise as cifar100.py.
_base_ = 'cifar100.py'
data_preprocessor = dict(
    mean=[0.5071 * 255, 0.4865 * 255, 0.4409 * 255],  # RGB
    std=[0.2673 * 255, 0.2564 * 255, 0.2762 * 255],
)
