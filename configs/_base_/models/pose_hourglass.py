# The stacked hourglass of OKDHP's code, four stacks. The decoder is set by the
# config that knows the input size.
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
        type='mmkd.StackedHourglass',
        num_stacks=4,
        feat_channels=256,
        out_channels=16,
    ),
    # without parameters: the stacks give the heat maps themselves
    head=dict(
        type='CPMHead',
        in_channels=16,
        out_channels=16,
        num_stages=4,
        deconv_out_channels=None,
        final_layer=None,
        loss=dict(
            type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5
        ),
    ),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True),
)
