_base_ = [
    '../_base_/models/height_vit-b-p16.py',
    '../_base_/datasets/heights_128.py',
    '../_base_/schedules/adamw-200it.py',
]

# half the width of the neck and a quarter of that of the head, which answers at stride 1: on a CPU
# they would take most of the time
widths = [96] * 4
model = dict(
    backbone=dict(_base_.tiny.backbone, img_size=128),
    neck=dict(_base_.tiny.neck, out_channels=96),
    decode_head=dict(
        in_channels=widths, embed_dim=24, feature_dim=192, max_depth=_base_.max_height
    ),
)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False), checkpoint=dict(by_epoch=False, interval=200)
)
log_processor = dict(by_epoch=False)
