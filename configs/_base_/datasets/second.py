# SECOND: {train,test}/{im1,im2} and, from tools/dataset_tools/convert_second.py, label1_index and
# label2_index. It has no validation set of its own; as in the papers, the test set is watched.
_base_ = ['./levir-cd.py']

num_classes = 6  # land covers
load_labels = dict(type='mssdf.LoadSemanticChange', num_classes=num_classes)
train_pipeline = [
    {{_base_.load_dates}},
    load_labels,
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='mssdf.RandomSwapDates'),
    {{_base_.normalize_dates}},
    dict(type='mssdf.PackSemanticChange'),
]
test_pipeline = [
    {{_base_.load_dates}},
    load_labels,
    {{_base_.normalize_dates}},
    dict(type='mssdf.PackSemanticChange'),
]
tta_pipeline = [
    {{_base_.load_dates}},
    {{_base_.normalize_dates}},
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='RandomFlip', prob=0.0),
                dict(type='RandomFlip', prob=1.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='vertical'),
            ],
            [load_labels],
            [dict(type='mssdf.PackSemanticChange')],
        ],
    ),
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        _delete_=True,
        type='mssdf.SECONDDataset',
        data_root='data/second',
        data_prefix=dict(
            img_path='train/im1',
            img_path2='train/im2',
            seg_map_path='train/label1_index',
            seg_map_path2='train/label2_index',
        ),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mssdf.SECONDDataset',
        data_root='data/second',
        data_prefix=dict(
            img_path='test/im1',
            img_path2='test/im2',
            seg_map_path='test/label1_index',
            seg_map_path2='test/label2_index',
        ),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mssdf.SemanticChangeMetric', num_classes=num_classes)
test_evaluator = val_evaluator
