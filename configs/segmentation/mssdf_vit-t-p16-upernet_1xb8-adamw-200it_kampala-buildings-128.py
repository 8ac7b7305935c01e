# Masks of buildings on windows of 128 px: Kampala's, as
# `tools/dataset_tools/make_examples.py DIR kampala-buildings` lays them out, or yours.
_base_ = [
    '../_base_/models/upernet_vit-b-p16.py',
    '../_base_/schedules/adamw-200it.py',
]

loader = dict(num_workers=0, persistent_workers=False)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=(128, 128)),
    dict(type='RandomRotate', prob=0.5, degree=180.0, seg_pad_val=255),  # there is no up
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
classes = ('background', 'building')
num_classes = len(classes)
dataset = dict(
    type='BaseSegDataset',
    data_root='data/kampala-buildings',
    img_suffix='.png',
    seg_map_suffix='.png',
    metainfo=dict(classes=classes, palette=[[0, 0, 0], [255, 255, 255]]),
)
train_dataloader = dict(
    batch_size=8,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
        pipeline=train_pipeline,
        **dataset,
    ),
    **loader,
)
val_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'),
        pipeline=test_pipeline,
        **dataset,
    ),
    **loader,
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mssdf.SegmentationMetric')
test_evaluator = val_evaluator

# half of the neck's and the heads' width: on a CPU they would take most of the time
widths = [96] * 4
model = dict(
    backbone=dict(_base_.tiny.backbone, img_size=128),
    neck=dict(_base_.tiny.neck, out_channels=96),
    decode_head=dict(in_channels=widths, channels=64, num_classes=num_classes),
    auxiliary_head=dict(in_channels=96, channels=32, num_classes=num_classes),
)
default_hooks = dict(checkpoint=dict(interval=200))
