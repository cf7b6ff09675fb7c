# MCL, four branches, on synthetic scenes.
_base_ = 'toy_mcl_x2.py'
model = dict(
    cohort=dict(
        peers=[_base_.model.cohort.peers[0]] * 4, shared=['stem', 'stage1']
    )
)
