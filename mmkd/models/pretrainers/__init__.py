"""Parts of pretraining without labels."""
