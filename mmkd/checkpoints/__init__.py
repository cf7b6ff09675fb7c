"""Checkpoint files: written whole, read without running code."""
