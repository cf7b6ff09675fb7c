# KD: softened logits; the cross entropy weighs 0.1.
loss = dict(
    type='mmkd.KLDivLoss',
    on='logits',
    temperature=4.0,
    loss_weight=0.9,
)
task_weight = dict(head=dict(loss=dict(loss_weight=0.1)))
