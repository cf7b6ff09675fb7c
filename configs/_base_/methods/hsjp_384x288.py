# HSJP for crops of 384x288 pixels: puzzles of 4x3 patches of 96x96 pixels.
_base_ = 'hsjp_256x192.py'
input_size = (288, 384)
puzzle_codec = dict(input_size=input_size, heatmap_size=(72, 96), sigma=3)
puzzle_train_pipeline = _base_.puzzle_train_pipeline
puzzle_train_pipeline[4].input_size = input_size
puzzle_train_pipeline[6].encoder.update(puzzle_codec)
puzzle_val_pipeline = _base_.puzzle_val_pipeline
puzzle_val_pipeline[2].input_size = input_size
puzzle_train_set = dict(pipeline=puzzle_train_pipeline)
puzzle_val_set = dict(pipeline=puzzle_val_pipeline)
