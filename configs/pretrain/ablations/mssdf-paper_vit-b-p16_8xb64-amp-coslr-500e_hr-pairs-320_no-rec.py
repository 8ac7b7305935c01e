# Without distillation: no teacher.
_base_ = ['../mssdf-paper_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py']

model = dict(losses=dict(rec=0.0))
