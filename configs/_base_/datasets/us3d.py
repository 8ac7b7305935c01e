# US3D of the Data Fusion Contest 2019 (tools/dataset_tools/prepare_us3d.py makes the folders): RGB
# and heights above ground in meters, NaN where unknown. Scores in meters, and over max_height.
max_height = 200.0
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mssdf.LoadHeight'),
    dict(type='RandomCrop', crop_size=(512, 512)),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mssdf.LoadHeight'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='RandomFlip', prob=0.0),
                dict(type='RandomFlip', prob=1.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='vertical'),
            ],
            [dict(type='mssdf.LoadHeight')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mssdf.HeightDataset',
        data_root='data/us3d',
        data_prefix=dict(img_path='img_dir/train', depth_map_path='height_dir/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mssdf.HeightDataset',
        data_root='data/us3d',
        data_prefix=dict(img_path='img_dir/val', depth_map_path='height_dir/val'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mssdf.HeightMetric', maximum=max_height)
test_evaluator = val_evaluator
