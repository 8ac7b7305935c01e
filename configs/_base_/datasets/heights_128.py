# Heights above ground on windows of 128 px: Autzen's and IGN's, as
# `tools/dataset_tools/make_examples.py DIR autzen-ign-heights` lays them out, or yours.
_base_ = ['./us3d.py']

max_height = 50.0
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mssdf.LoadHeight'),
    dict(type='RandomCrop', crop_size=(128, 128)),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
loader = dict(num_workers=0, persistent_workers=False)
dataset = dict(data_root='data/autzen-ign-heights')
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler'), dataset=dict(pipeline=train_pipeline, **dataset), **loader
)
val_dataloader = dict(dataset=dataset, **loader)
test_dataloader = val_dataloader
val_evaluator = dict(maximum=max_height)
test_evaluator = val_evaluator
