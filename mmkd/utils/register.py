"""Registration of everything at once, as older tools expect it."""

from __future__ import annotations

from importlib import import_module

_PACKAGES = (
    'datasets',
    'engine',
    'evaluation',
    'models',
    'toys',
    'visualization',
)


def register_all_modules(init_default_scope: bool = True) -> None:
    """Register the classes of mmkd.

    Rarely needed: the registries import what a config names. Classes that
    need a task repository are imported when they are first used.

    Args:
        init_default_scope: make ``mmkd`` the default scope if none is set
            yet; a scope that is set stays.
    """
    from mmengine.registry import DefaultScope

    for package in _PACKAGES:
        import_module(f'mmkd.{package}')
    if init_default_scope and DefaultScope.get_current_instance() is None:
        DefaultScope.get_instance('mmkd', scope_name='mmkd')
