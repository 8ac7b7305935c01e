# For up to an hour on two cores. The rate matters: at 1e-3 the effective rank of the features falls
# to half of what it is at 4e-4, and their kNN accuracy with it (docs/recipe.md).
_base_ = ['./adamw_cpu-minutes.py']

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
