# MSSDF as we recommend it: docs/recipe.md has the reason and the measurement for each change.
_base_ = ['./mssdf-paper_vit-b-p16.py']

model = dict(
    data_preprocessor=dict(cross_modal=None),  # it would hide the locations that L_align looks at
    embedding=dict(type='mssdf.PerModalityPatchEmbedding'),  # metres stay metres
    teacher=dict(target_norm='batch', average_layers=6),
    pairwise=dict(features='encoder'),  # predictions can meet L_align by position alone
    losses=dict(rec=0.5, align=1.0, pix=1.0),
    ramps=dict(rec=(1000, 5000)),  # distillation sets in when the teacher knows something
)
