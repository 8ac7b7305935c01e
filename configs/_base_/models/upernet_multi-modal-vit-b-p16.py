# RGB and a surface model through the same encoder, fused per patch, then as for RGB alone. Bands
# are normalized in the pipeline, where what is missing stays NaN; the encoder leaves it out.
_base_ = ['./upernet_vit-b-p16.py']

data_preprocessor = dict(
    _delete_=True,
    type='mssdf.MultiModalSegDataPreprocessor',  # pads with NaN, too
    bgr_to_rgb=False,
    seg_pad_val=255,
    size_divisor=16,  # whole patches
    test_cfg=dict(size_divisor=16),
)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='mssdf.MultiModalVisionTransformer',
        modalities=dict(rgb=3, dsm=1),
        modality_dropout=0.2,  # of the training images: the model must do without a modality, too
        init_cfg=dict(type='mssdf.MultiModalPretrained'),
    ),
)
