# MSSDF as we recommend it: see docs/recipe.md for what each change is worth, measured.
_base_ = ['./mssdf-paper_vit-b-p16.py']

model = dict(
    embedding=dict(type='mssdf.PerModalityPatchEmbedding'),  # metres stay metres
    losses=dict(pix=1.0),
)
