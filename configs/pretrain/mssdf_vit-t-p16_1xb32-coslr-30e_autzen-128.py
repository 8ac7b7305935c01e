# The quick start for longer, 600 iterations: up to an hour on two cores.
_base_ = ['./mssdf_vit-t-p16_quick-start.py']

model = dict(ramps=dict(rec=(100, 400)))
train_dataloader = dict(dataset=dict(windows=dict(per_epoch=640)))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=60),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=True,
        begin=0,
        end=30,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=30)
default_hooks = dict(
    logger=dict(interval=20),
    panel=dict(interval=10),
    knn=dict(interval=5),
)
log_processor = dict(window_size=20)
