# The imagery that ships with the repository (tests/data/autzen: orthophoto and surface model of
# Eugene, Oregon, 0.5 m), random windows of 128 px. Statistics measured with
# tools/dataset_tools/compute_statistics.py; the DSM's scale is fixed. No color jitter: it costs
# accuracy where land cover is told by its color (docs/results/recipe.md).
_base_ = ['./hr-pairs_rgb-dsm_320.py']

modalities = dict(rgb=dict(mean=[139.7, 140.1, 124.9], std=[44.7, 37.0, 34.0]), dsm=dict(std=[8.0]))
window_size = 128
train_pipeline = [
    dict(type='mssdf.MultiModalRandomResizedCrop', size=window_size, scale=(0.15, 1.0)),
    dict(type='mssdf.MultiModalRandomFlip'),
    dict(type='mssdf.MultiModalRandomRotate90'),
    dict(type='mssdf.PackMultiModalInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    pin_memory=False,
    dataset=dict(
        data_root='tests/data/autzen',
        modalities=modalities,
        windows=dict(size=224, mode='random', per_epoch=640),
        pipeline=train_pipeline,
    ),
)
