# First phase of AB, FT and FSP: 30 epochs of the method's loss alone, at the
# student's learning rate. What a config takes of it:
no_task_loss = dict(head=dict(loss=dict(loss_weight=0.0)))
constant_rate = dict(milestones=[])
thirty_epochs = dict(max_epochs=30, val_interval=30)
last_checkpoint = dict(checkpoint=dict(save_best=None))
