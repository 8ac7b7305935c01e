# With the pixels of masked patches as a further target.
_base_ = ['../mssdf-paper_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py']

model = dict(losses=dict(pix=1.0), pixel_target=dict(dsm='raw'))
