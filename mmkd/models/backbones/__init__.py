"""Part of mmkd."""
