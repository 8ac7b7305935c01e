# A trial in minutes on a CPU: some iterations in small batches, few images validated and tested.
from importlib import import_module

expect = import_module('mssdf.cli.overlays').expect
# pre-training has the quick start
expect(_base_, 'small', 'default_hooks.task_panel', 'a downstream task')

iterations = 50
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=5),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=5, end=iterations),
]
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    batch_size=max(_base_.train_dataloader.batch_size // 8, 2),
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    **loader,
)
val_dataloader = test_dataloader = dict(dataset=dict(indices=20), **loader)
default_hooks = dict(
    logger=dict(interval=5, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=iterations),
)
log_processor = dict(by_epoch=False, window_size=5)
