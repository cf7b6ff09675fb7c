"""What is measured: losses, steps and data paths."""
