# Heights above ground of Potsdam (the normalized surface model under dsm_dir).
_base_ = ['./us3d.py']

max_height = 50.0
dataset = dict(data_root='data/potsdam', img_suffix='.png')
train_dataloader = dict(dataset=dict(data_prefix=dict(depth_map_path='dsm_dir/train'), **dataset))
val_dataloader = dict(dataset=dict(data_prefix=dict(depth_map_path='dsm_dir/val'), **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(maximum=max_height)
test_evaluator = val_evaluator
