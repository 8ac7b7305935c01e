# Four bands: the patch embedding of near infrared starts as the mean of those of the colours. Bands
# are normalised in the pipeline.
_base_ = ['./faster-rcnn_vit-t-p16.py']

model = dict(
    data_preprocessor=dict(mean=None, std=None, bgr_to_rgb=False),
    backbone=dict(
        type='mssdf.MultiModalVisionTransformer',
        modalities=dict(rgb=4),
        init_cfg=dict(type='mssdf.MultiModalPretrained', rgb_bands=[0, 1, 2]),
    ),
)
