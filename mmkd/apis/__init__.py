"""What the tools do, from Python."""

from mmkd.apis.distill import distill

__all__ = ['distill']
