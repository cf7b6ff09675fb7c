# ResNet-110 of the code of ONE (bottlenecks 18-18-18) alone, ONE's recipe.
# Its code normalises CIFAR-100 with the statistics of CIFAR-10.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/resnet164_bottleneck.py',
    '../_base_/schedules/cifar_one_300.py',
    '../_base_/cls_runtime.py',
]
data_preprocessor = dict(
    mean=[0.4914 * 255, 0.4822 * 255, 0.4465 * 255],  # RGB
    std=[0.2470 * 255, 0.2435 * 255, 0.2616 * 255],
)
