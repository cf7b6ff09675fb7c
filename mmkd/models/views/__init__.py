"""Views: augmented versions of a batch that every network sees."""

from mmkd.models.views.cropped_rotation_views import CroppedRotationViews
from mmkd.models.views.rotation_views import RotationViews

__all__ = ['CroppedRotationViews', 'RotationViews']
