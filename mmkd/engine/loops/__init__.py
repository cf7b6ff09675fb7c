"""Loops."""

__all__: list[str] = []
