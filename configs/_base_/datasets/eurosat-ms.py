# EuroSAT, all 13 bands (GeoTIFFs of uint16): red, green and blue first, as the encoder knows them,
# then the others in the file's order (B01, B05 ... B07, B08, B09 ... B12, B8A). Means and
# deviations are those that torchgeo publishes, in digital numbers.
_base_ = ['./eurosat.py']

load_bands = dict(
    type='mssdf.LoadRasters',
    sources=[dict(bands=[4, 3, 2]), dict(bands=[1, 5, 6, 7, 8, 9, 10, 11, 12, 13])],
)
normalize_bands = dict(
    type='mssdf.NormalizeBands',
    mean=[947.6, 1042.9, 1118.2]
    + [1354.4, 1199.5, 1999.8, 2369.2, 2296.8, 732.1, 12.1, 1819.0, 1118.9, 2594.1],
    std=[593.8, 395.1, 333.0]
    + [245.7, 566.4, 861.2, 1086.6, 1118.0, 404.9, 4.8, 1002.6, 761.3, 1231.6],
    keep_nodata=True,  # the encoder tells it from values
)
train_pipeline = [
    load_bands,
    dict(type='RandomResizedCrop', scale=64, crop_ratio_range=(0.2, 1.0)),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    normalize_bands,
    dict(type='PackInputs'),
]
test_pipeline = [load_bands, normalize_bands, dict(type='PackInputs')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
tta_pipeline = [
    load_bands,
    normalize_bands,
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='RandomFlip', prob=0.0),
                dict(type='RandomFlip', prob=1.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='vertical'),
            ],
            [dict(type='PackInputs')],
        ],
    ),
]
