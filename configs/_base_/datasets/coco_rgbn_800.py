# Images with red, green, blue and near infrared (GeoTIFF of any type) and horizontal boxes in
# COCO's json: your own data. Set `classes` (and num_classes of the model), mean and std: of
# 8-bit bands here; tools/dataset_tools/compute_statistics.py measures yours.
_base_ = ['./coco_800.py']

classes = ('object',)
num_classes = len(classes)
load_bands = dict(type='mssdf.LoadRasters', sources=[dict(bands=[1, 2, 3, 4])])
normalize_bands = dict(
    type='mssdf.NormalizeBands',
    mean=[123.675, 116.28, 103.53, 127.5],
    std=[58.395, 57.12, 57.375, 50.0],
    keep_nodata=True,  # the encoder tells it from values
)
train_pipeline = [
    load_bands,
    *_base_.train_pipeline[1:-1],
    normalize_bands,
    _base_.train_pipeline[-1],
]
test_pipeline = [
    load_bands,
    *_base_.test_pipeline[1:-1],
    normalize_bands,
    _base_.test_pipeline[-1],
]
flips = _base_.tta_pipeline[1].transforms
tta_pipeline = [
    load_bands,
    dict(type='TestTimeAug', transforms=[flips[0], [normalize_bands], *flips[1:]]),
]
dataset = dict(
    data_root='data/rgbn', metainfo=dict(classes=classes), data_prefix=dict(img='images/')
)
train_dataloader = dict(
    dataset=dict(dataset, ann_file='annotations/train.json', pipeline=train_pipeline)
)
val_dataloader = dict(
    dataset=dict(dataset, ann_file='annotations/val.json', pipeline=test_pipeline)
)
test_dataloader = dict(
    dataset=dict(dataset, ann_file='annotations/test.json', pipeline=test_pipeline)
)
