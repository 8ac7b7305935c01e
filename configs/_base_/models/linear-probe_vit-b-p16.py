# A linear classifier on the frozen encoder's cls token, after a batch norm without parameters, as
# MAE's.
_base_ = ['./classifier_vit-b-p16.py']

model = dict(
    backbone=dict(
        frozen=True,
        drop_path_rate=0.0,
        out_type='cls_token',
        final_norm=True,
        init_cfg=dict(allow_missing=[], allow_unexpected=[]),
    ),
    neck=dict(_delete_=True, type='ClsBatchNormNeck', input_features=768),
    head=dict(
        loss=dict(_delete_=True, type='CrossEntropyLoss'),
        init_cfg=[dict(type='TruncNormal', layer='Linear', std=0.01)],
    ),
    train_cfg=dict(augments=None),
)
tiny = dict(neck=dict(input_features=192))
large = dict(backbone=dict(drop_path_rate=0.0), neck=dict(input_features=1024))
