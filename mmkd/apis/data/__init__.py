"""Data sets of the four tasks as folders of the usual layouts."""
