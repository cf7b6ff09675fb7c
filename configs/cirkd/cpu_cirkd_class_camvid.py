# As cpu_cirkd_leading_camvid.py, with the memory filled as the paper defines.
_base_ = 'cpu_cirkd_leading_camvid.py'
model = dict(losses=dict(memory=dict(pixel_sampling='class')))
