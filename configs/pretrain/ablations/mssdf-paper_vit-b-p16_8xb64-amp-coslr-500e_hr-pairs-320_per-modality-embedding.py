# A patch embedding per modality instead of the paper's shared one.
_base_ = ['../mssdf-paper_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py']

model = dict(embedding=dict(type='mssdf.PerModalityPatchEmbedding'))
