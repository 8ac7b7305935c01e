# SECOND as binary change detection: changed is what has a land cover at either date.
_base_ = ['./second.py']

val_evaluator = dict(_delete_=True, type='mssdf.ChangeMetric')
test_evaluator = val_evaluator
