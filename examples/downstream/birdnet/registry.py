"""The registry of this project."""

from mmengine import registry

MODELS = registry.Registry(
    'model',
    parent=registry.MODELS,
    scope='birdnet',
    locations=['birdnet.backbone'],
)
