"""What is made of finished runs: logs of seeds, tables, curves, pictures."""
