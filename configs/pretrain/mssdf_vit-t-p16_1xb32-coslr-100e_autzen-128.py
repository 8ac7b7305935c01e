# 2,000 iterations of batch 32: the quick start, longer.
_base_ = ['./mssdf_vit-t-p16_quick-start.py']

train_dataloader = dict(dataset=dict(windows=dict(per_epoch=640)))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=True,
        begin=0,
        end=100,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=100)
default_hooks = dict(
    logger=dict(interval=20),
    panel=dict(interval=20),
    knn=dict(interval=20),
)
log_processor = dict(window_size=20)
