# The baseline: mmpretrain's MAE on the RGB windows of the same data.
_base_ = ['../default_runtime.py']

model = dict(
    type='mmpretrain.MAE',
    data_preprocessor=dict(type='mssdf.SingleModalityDataPreprocessor', modality='rgb'),
    backbone=dict(type='mmpretrain.MAEViT', arch='base', patch_size=16, mask_ratio=0.75),
    neck=dict(
        type='mmpretrain.MAEPretrainDecoder',
        num_patches=400,
        patch_size=16,
        in_chans=3,
        embed_dim=768,
        decoder_embed_dim=512,
        decoder_depth=8,
        decoder_num_heads=16,
        mlp_ratio=4.0,
    ),
    head=dict(
        type='mmpretrain.MAEPretrainHead',
        norm_pix=True,
        patch_size=16,
        in_channels=3,
        loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L2'),
    ),
)
