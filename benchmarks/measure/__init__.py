"""How time and memory are measured, in turns."""
