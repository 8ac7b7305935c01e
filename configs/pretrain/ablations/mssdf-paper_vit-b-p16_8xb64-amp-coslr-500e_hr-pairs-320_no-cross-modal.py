# No cross-modal masking: p stays 0.
_base_ = ['../mssdf-paper_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py']

model = dict(data_preprocessor=dict(cross_modal=None))
