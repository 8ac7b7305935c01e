# 2,000 iterations of batch 32: the quick start, longer.
_base_ = ['./mssdf_vit-t-p16_quick-start.py']

train_dataloader = dict(dataset=dict(windows=dict(per_epoch=640)))
train_cfg = dict(max_epochs=100)
default_hooks = dict(
    logger=dict(interval=20),
    panel=dict(interval=20),
    knn=dict(interval=20),
)
log_processor = dict(window_size=20)
