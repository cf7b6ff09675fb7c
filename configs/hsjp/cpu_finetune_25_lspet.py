# From the pretrained backbone with 25 % of the labelled people.
_base_ = 'cpu_finetune_lspet.py'
train_dataloader = dict(dataset=dict(indices=250))
