# DeepSpeed's ZeRO, stage 2: gradients and optimizer state of what is trained
# are split over the processes; needs `pip install deepspeed` and GPUs.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='DeepSpeedStrategy',
    zero_optimization=dict(stage=2, overlap_comm=True),
    bf16=dict(enabled=True),
    inputs_to_half=['inputs'],
)
optim_wrapper = dict(type='DeepSpeedOptimWrapper')
