# Oriented R-CNN (arXiv 2108.05699) on the plain ViT.
_base_ = ['./vitdet_vit-b-p16.py']

from mmengine.hub import get_config

default_scope = 'mmrotate'
# mmrotate has the model in one file with data, schedule and hooks, which are not wanted here
model = get_config('mmrotate::oriented_rcnn/oriented-rcnn-le90_r50_fpn_1x_dota.py').model
model.backbone = _base_.vit
model.neck = _base_.pyramid
# over flips; the pipelines stand with the data
tta_model = dict(type='mssdf.RotatedTTA', nms_iou=0.1, max_per_img=2000)
