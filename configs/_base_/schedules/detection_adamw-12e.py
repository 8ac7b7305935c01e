# The usual one of plain ViTs on DIOR, DIOR-R and DOTA: AdamW 1e-4, weight decay 0.05, layer decay
# 0.75, 12 epochs with steps after 8 and 11 (RVSA, arXiv 2208.03987; its released configs). Layer
# decay of ViT-L is 0.8 (ViTDet, arXiv 2203.16527). Batches differ between papers: 16 here.
_base_ = ['./adamw_layer-decay.py']

optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay_rate=0.75),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
train_cfg = dict(type='mssdf.ResumableEpochTrainLoop', max_epochs=12, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=16)
