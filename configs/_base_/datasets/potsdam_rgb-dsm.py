# Potsdam with heights: RGB from img_dir, meters from dsm_dir; a tile without heights is
# read without.
_base_ = ['./potsdam.py']

load_bands = dict(
    type='mssdf.LoadRasters',
    sources=[
        dict(bands=[1, 2, 3]),
        dict(replace=['img_dir', 'dsm_dir'], suffix=['.png', '.tif'], bands=[1], missing='nodata'),
    ],
)
dsm_bands = [3]
# colors as for RGB alone; heights relative to the tile's median, as in pre-training
normalize_bands = dict(
    type='mssdf.NormalizeBands',
    mean=[123.675, 116.28, 103.53, 0.0],
    std=[58.395, 57.12, 57.375, 10.0],
    relative_to_median=dsm_bands,
    keep_nodata=True,  # the encoder tells nodata from values
)
train_pipeline = [
    load_bands,
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    normalize_bands,
    dict(type='PackSegInputs'),
]
test_pipeline = [
    load_bands,
    dict(type='LoadAnnotations', reduce_zero_label=True),
    normalize_bands,
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    load_bands,
    normalize_bands,
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadAnnotations', reduce_zero_label=True)],
            [dict(type='PackSegInputs')],
        ],
    ),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
