# Recipe of the paper (method.md, section 7): base rate 1.5e-4 x batch / 256 at a batch of 512.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.95), weight_decay=0.05),
    clip_grad=dict(max_norm=3.0),  # not the paper's: one bad batch can not undo an epoch
    constructor='mssdf.TrainableOptimWrapperConstructor',  # leaves out the teacher
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            'cls_token': dict(decay_mult=0.0),
            'pos_embed': dict(decay_mult=0.0),
            'mask_token': dict(decay_mult=0.0),
            'fusion_token': dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-6 / 3e-4,
        by_epoch=True,
        begin=0,
        end=40,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-5,
        by_epoch=True,
        begin=40,
        end=500,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type='mssdf.ResumableEpochTrainLoop', max_epochs=500, max_skipped_steps=0)
auto_scale_lr = dict(base_batch_size=512)
