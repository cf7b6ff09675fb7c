"""Reading, checking and writing files of weights."""
