# MAE's linear probe (arXiv 2111.06377, appendix A.1: 90 epochs, no weight decay), with SGD of rate
# 0.1 per 256 in place of LARS, which is made for batches of thousands and barely moves in the few
# iterations of these data sets.
_base_ = ['./classification_adamw-100e.py']

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, weight_decay=0.0, momentum=0.9),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        by_epoch=True,
        begin=10,
        end=90,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=90)
