"""Toy runs and other helpers of the tests."""
