"""Runs that are killed, resumed and compared with one that was not."""
