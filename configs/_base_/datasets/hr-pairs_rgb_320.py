# HR-Pairs layout, orthophotos alone: DATA_ROOT/patch/NAME_dom.tif.
# The statistics are those of a typical 8-bit orthophoto: measure your own with
# tools/dataset_tools/compute_statistics.py and put its numbers here.
modalities = dict(
    rgb=dict(
        suffix='_dom.tif',
        bands=[1, 2, 3],
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    )
)
window_size = 320  # of what the model sees, in pixels

train_pipeline = [
    dict(type='mssdf.MultiModalRandomResizedCrop', size=window_size, scale=(0.2, 1.0)),
    dict(type='mssdf.MultiModalRandomFlip'),
    dict(type='mssdf.MultiModalRandomRotate90'),
    dict(type='mssdf.MultiModalColorJitter', brightness=0.4, contrast=0.4, saturation=0.2),
    dict(type='mssdf.PackMultiModalInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='mssdf.ResumableSampler', shuffle=True),
    collate_fn=dict(type='mssdf.multimodal_collate'),
    dataset=dict(
        type='mssdf.MultiModalRasterDataset',
        data_root='data/hr_pairs',  # or --data-root, or the variable MSSDF_DATA
        modalities=modalities,
        windows=dict(size=window_size, mode='grid', max_invalid_per_window=0.5),
        pipeline=train_pipeline,
    ),
)
