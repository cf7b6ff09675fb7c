# SSKD: four rotated views of an image, flipped alike and cropped apart. The
# cross entropy is of the upright ones and weighs 0.1.
mean = [0.5071 * 255, 0.4866 * 255, 0.4409 * 255]  # the authors'
no_crop = dict(crop_padding=0, mean=mean)
views = dict(
    type='mmkd.CroppedRotationViews',
    num_rotations=4,
    crop_padding=4,
    mean=mean,
    std=[0.2675 * 255, 0.2565 * 255, 0.2761 * 255],
)
embeds = dict(type='mmkd.EmbeddingMLP', on='pooled')
loss = dict(
    type='mmkd.SSKDLoss',
    on=dict(student=['logits', 'embeds_s'], teacher=['logits', 'embeds_t']),
    kd_weight=0.9,
    tf_weight=2.7,
    ss_weight=10.0,
    kd_temperature=4.0,
    tf_temperature=4.0,
    ss_temperature=0.5,
    tf_ratio=1.0,
    ss_ratio=0.75,
)
task_weight = dict(head=dict(loss=dict(loss_weight=0.1)))
