"""A project of its own that uses mmkd."""

from birdnet.backbone import BirdBackbone

__all__ = ['BirdBackbone']
