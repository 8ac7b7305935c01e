# RGB and a surface model through the same encoder, fused per patch, then as for RGB alone. Bands
# are normalized in the pipeline, where what is missing becomes zero; the encoder leaves it out.
_base_ = ['./upernet_vit-b-p16.py']

data_preprocessor = dict(mean=None, std=None, bgr_to_rgb=False)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='mssdf.MultiModalVisionTransformer',
        modalities=dict(rgb=3, dsm=1),
        modality_dropout=0.2,  # of the training images: the model must do without a modality, too
        init_cfg=dict(type='mssdf.MultiModalPretrained'),
    ),
)
