# DOTA-v1.0 as papers report it: trained on the training and validation images, and scored by the
# data set's server, for which tools/test.py writes the boxes of the test images, put together from
# tiles, to dota_submission/dota_submission.zip in the current folder.
_base_ = ['./dota.py']

part = _base_.train_dataloader.dataset
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys=['DATASET_TYPE'],
        datasets=[
            part,
            dict(part, ann_file='val/annfiles/', data_prefix=dict(img_path='val/images/')),
        ],
    )
)
test_dataloader = dict(
    dataset=dict(
        ann_file='',
        data_prefix=dict(img_path='test/images/'),
        pipeline=_base_.test_pipeline,
    )
)
test_evaluator = dict(
    _delete_=True,
    type='DOTAMetric',
    format_only=True,
    merge_patches=True,
    outfile_prefix='dota_submission',
)
