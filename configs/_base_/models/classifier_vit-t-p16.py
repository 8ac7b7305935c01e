_base_ = ['./classifier_vit-b-p16.py']

model = dict(backbone=dict(arch='deit-tiny', drop_path_rate=0.0), head=dict(in_channels=192))
