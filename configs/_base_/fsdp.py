# Fully sharded training: parameters, gradients and optimizer state of what is
# trained are split over the processes; frozen teachers are whole in each.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel',
        use_orig_params=True,
        auto_wrap_policy=None,  # e.g. the class of a transformer's block
    ),
    # whole files, as without sharding
    state_dict_cfg=dict(
        state_dict_type='FULL_STATE_DICT',
        state_dict_config=dict(
            type='FullStateDictConfig', offload_to_cpu=False, rank0_only=False
        ),
        optim_state_dict_config=dict(
            type='FullOptimStateDictConfig',
            offload_to_cpu=False,
            rank0_only=False,
        ),
    ),
)
