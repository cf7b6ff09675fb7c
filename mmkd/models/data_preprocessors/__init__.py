"""Data preprocessors; their classes are imported when first asked for."""
