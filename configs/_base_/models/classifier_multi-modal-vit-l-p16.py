_base_ = ['./classifier_multi-modal-vit-b-p16.py']

model = dict(backbone=dict(arch='large'), head=dict(in_channels=1024))
