# SECOND as binary change detection: changed is what has a land cover at either date.
_base_ = ['./second.py']

dataset = dict(type='mssdf.SECONDChangeDataset')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
val_evaluator = dict(_delete_=True, type='mssdf.ChangeMetric')
test_evaluator = val_evaluator
