_base_ = ['./classifier_multi-modal-vit-b-p16.py']

model = dict(backbone=dict(arch='deit-tiny'), head=dict(in_channels=192))
