# From nothing to a small file in one run: a teacher with branches, its
# student (HSSAKD's offline form), the student pruned while it trains (ASRFP),
# without its zero filters, as ONNX. Drawn data; about two minutes on a CPU.
stages = [
    dict(name='teacher', config='../hssakd/toy_teacher_joint.py'),
    dict(
        name='distill',
        config='../hssakd/toy_hsakd.py',
        model=dict(teacher=dict(checkpoint='stage:teacher')),
    ),
    dict(
        name='prune',
        config='toy_asrfp.py',
        load_from='stage:distill/student.pth',
    ),
    dict(name='compact', run='compact', of='prune', input_shape=(3, 32, 32)),
    dict(name='onnx', run='onnx', of='compact', input_shape=(3, 32, 32)),
]
