# For minutes on a CPU: small batches, everything counted in iterations.
_base_ = ['./adamw_coslr_500e.py']

optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=True,
        begin=0,  # to the end of training
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=40)
auto_scale_lr = dict(base_batch_size=32)
