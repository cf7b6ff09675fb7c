# From scratch with 25 % of the labelled people, equally many iterations.
_base_ = 'cpu_scratch_lspet.py'
train_dataloader = dict(dataset=dict(indices=250))
