# The quick start for longer, 900 iterations: up to an hour on two cores.
_base_ = ['./mssdf_vit-t-p16_quick-start.py']

model = dict(ramps=dict(rec=(100, 400)))
train_dataloader = dict(dataset=dict(windows=dict(per_epoch=640)))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=90),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=True,
        begin=0,
        end=45,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=45)
default_hooks = dict(
    logger=dict(interval=20),
    cross_modal=dict(every=5),
    panel=dict(interval=15),
    knn=dict(interval=15),
)
log_processor = dict(window_size=20)
