# Features of a teacher, without labels: maps, global vectors, and a queue of
# the teacher's vectors as classes. One weight each, 1.
dense = dict(type='mmkd.DenseCosineLoss', on='dense')
whole = dict(type='mmkd.GlobalCosineLoss', on='pooled')
classes = dict(
    type='mmkd.PseudoClassLoss',
    on='pooled',
    queue_size=65536,
    temperature=0.2,
    teacher_temperature=0.01,
)
# The backbone's last map; the global terms average it over positions.
taps = dict(
    dense=dict(student='backbone', teacher='dense'),
    pooled=dict(student='backbone', teacher='pooled'),
)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
