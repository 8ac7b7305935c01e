# SECOND as binary change detection: changed is what has a land cover at either date.
_base_ = [
    '../_base_/models/siamese-upernet_vit-b-p16.py',
    '../_base_/datasets/second.py',
    '../_base_/schedules/change_adamw-40k.py',
]

dataset = dict(type='mssdf.SECONDChangeDataset')
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dataset)
val_evaluator = dict(_delete_=True, type='mssdf.ChangeMetric')
test_evaluator = dict(_delete_=True, type='mssdf.ChangeMetric')
auto_scale_lr = dict(base_batch_size=8)
