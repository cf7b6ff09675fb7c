# What all pose configs of ours share.
_base_ = 'default_runtime.py'
default_scope = 'mmpose'
visualizer = dict(
    type='PoseLocalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')],
    name='visualizer',
)
