# LEVIR-CD as published: {train,val,test}/{A,B,label} of 1024 px, changed pixels 255. Crops of
# 256 px as in the papers, which cut the images into such tiles.
_base_ = ['../library_names.py', 'mmseg::_base_/datasets/levir_256x256.py']

load_dates = dict(
    type='mssdf.LoadRasters',
    sources=[dict(bands=[1, 2, 3]), dict(key='img_path2', bands=[1, 2, 3])],
)
normalize_dates = dict(
    type='mssdf.NormalizeBands',
    mean=[123.675, 116.28, 103.53] * 2,
    std=[58.395, 57.12, 57.375] * 2,
)
load_labels = dict(type='mssdf.LoadChange', changed=255)
train_pipeline = [
    load_dates,
    load_labels,
    dict(type='RandomCrop', crop_size=(256, 256)),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='mssdf.RandomSwapDates'),
    normalize_dates,
    dict(type='PackSegInputs'),
]
test_pipeline = [load_dates, load_labels, normalize_dates, dict(type='PackSegInputs')]
tta_pipeline = [
    load_dates,
    normalize_dates,
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='RandomFlip', prob=0.0),
                dict(type='RandomFlip', prob=1.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='vertical'),
            ],
            [load_labels],
            [dict(type='PackSegInputs')],
        ],
    ),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='val/A', img_path2='val/B', seg_map_path='val/label'),
        pipeline=test_pipeline,
    )
)
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_evaluator = dict(_delete_=True, type='mssdf.ChangeMetric')
test_evaluator = val_evaluator
