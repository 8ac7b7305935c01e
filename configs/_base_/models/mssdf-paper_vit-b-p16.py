# MSSDF as in the paper (method.md, sections 2 to 6). A child gives the
# model the modalities and the window size of its data set.
_base_ = ['../default_runtime.py']

model = dict(
    type='mssdf.MSSDF',
    primary='rgb',  # the modality whose encoder drops into a plain ViT
    data_preprocessor=dict(
        type='mssdf.MaskingDataPreprocessor',
        mask_ratio=0.75,
        quantiles=(0.2, 0.8),
        weights=(0.8, 0.5, 0.3),  # below, between, above the quantiles of the score
        cross_modal=dict(target='dsm', complementary=False),
    ),
    backbone=dict(type='mssdf.MaskedVisionTransformer', arch='base', patch_size=16),
    embedding=dict(type='mssdf.SharedPatchEmbedding'),
    fusion_decoder=dict(type='mssdf.FusionDecoder', embed_dims=384, num_layers=3, num_heads=6),
    modality_decoder=dict(type='mssdf.ModalityDecoder', embed_dims=384, num_layers=4, num_heads=6),
    teacher=dict(target_norm='token', average_layers=1),
    pairwise=dict(features='predicted', negatives='all', num_locations=16, temperature=0.07),
    losses=dict(rec=1.0, align=0.5, hsic=0.2, cls=0.1, pix=0.0),
    pixel_floor=dict(dsm=0.1),  # meters
)

# what belongs to the method stands with the model
default_hooks = dict(
    # a number is constant; losses=dict(rec=(0, 1000)) raises a weight from 0 over 1000 iterations
    schedules=dict(
        type='mssdf.ScheduleHook',
        masking=dict(  # p, by epochs
            p=dict(type='Staircase', start=0.1, increment=0.1, every=10, maximum=0.7, by_epoch=True)
        ),
        teacher=dict(momentum=dict(type='Cosine', start=0.996, end=1.0)),
    ),
    teacher=dict(type='mssdf.TeacherHook'),
    panel=dict(type='mssdf.PretrainPanelHook', interval=10, by_epoch=True),
)
