# Masks uniformly at random instead of by information.
_base_ = ['../mssdf-paper_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py']

model = dict(data_preprocessor=dict(weights=(0.5, 0.5, 0.5)))
