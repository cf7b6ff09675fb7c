# As cpu_distill_mse_lspet.py, with a KL divergence over the pixels of a map.
_base_ = 'cpu_distill_mse_lspet.py'
model = dict(
    losses=dict(
        _delete_=True,
        kl=dict(
            type='mmkd.PixelwiseKLLoss',
            on='heatmaps',
            temperature=0.1,
            loss_weight=1.0,
        ),
    )
)
