# As for segmentation, half as long: about what MTP (arXiv 2403.13430) takes for change detection.
_base_ = ['./segmentation_adamw-80k.py']

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=40000),
]
train_cfg = dict(max_iters=40000, val_interval=4000)
