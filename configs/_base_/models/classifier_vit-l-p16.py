_base_ = ['./classifier_vit-b-p16.py']

model = dict(backbone=dict(arch='large', drop_path_rate=0.2), head=dict(in_channels=1024))
