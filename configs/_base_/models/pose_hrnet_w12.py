# A narrow, shallow HRNet of stock mmpose parts, for one CPU core.
def _stage(block, blocks, *channels):
    return dict(
        num_modules=1,
        num_branches=len(channels),
        block=block,
        num_blocks=(blocks,) * len(channels),
        num_channels=channels,
    )


model = dict(
    type='TopdownPoseEstimator',
    _scope_='mmpose',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='HRNet',
        in_channels=3,
        extra=dict(
            stage1=_stage('BOTTLENECK', 2, 32),
            stage2=_stage('BASIC', 2, 12, 24),
            stage3=_stage('BASIC', 2, 12, 24, 48),
            stage4=_stage('BASIC', 2, 12, 24, 48, 96),
        ),
    ),
    head=dict(
        type='HeatmapHead',
        in_channels=12,
        out_channels=14,
        deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
    ),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True),
)
