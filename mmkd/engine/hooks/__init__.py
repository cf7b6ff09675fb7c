"""Hooks."""

__all__: list[str] = []
