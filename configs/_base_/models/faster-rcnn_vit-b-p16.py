# Faster R-CNN on the plain ViT.
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', './vitdet_vit-b-p16.py']

default_scope = 'mmdet'
model = dict(
    backbone=dict(_delete_=True, **_base_.vit),
    neck=dict(_delete_=True, **_base_.pyramid),
)
# over flips; the pipelines stand with the data
tta_model = dict(
    type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
)
