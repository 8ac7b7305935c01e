_base_ = ['./upernet_vit-b-p16.py']

# the bands of both dates behind each other, normalized in the pipeline; |first - second| per level
data_preprocessor = dict(mean=None, std=None, bgr_to_rgb=False)
model = dict(
    type='mssdf.SiameseEncoderDecoder',
    fusion='difference',
    data_preprocessor=data_preprocessor,
    decode_head=dict(num_classes=2),
    auxiliary_head=dict(num_classes=2),
)
tta_model = dict(type='mssdf.ChangeTTA')
