# 30 epochs, the paper's length; rate, warm-up and decay are those of segmentation.
_base_ = ['./segmentation_adamw-80k.py']

param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,
        by_epoch=True,
        begin=0,
        end=1,
        convert_to_iter_based=True,
    ),
    dict(
        type='PolyLR',
        eta_min=0.0,
        power=1.0,
        by_epoch=True,
        begin=1,
        end=30,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(_delete_=True, type='mssdf.ResumableEpochTrainLoop', max_epochs=30, val_interval=3)
auto_scale_lr = dict(base_batch_size=32)
