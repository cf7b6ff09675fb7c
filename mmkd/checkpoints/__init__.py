"""Files of weights: written whole, read without running code."""
