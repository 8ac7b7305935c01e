# Our recipe as it was until November 2026, kept to show what was wrong with it: L_align takes
# negatives from everywhere and is met by position; heights are normalized patch by patch.
_base_ = ['../mssdf_vit-t-p16_quick-start.py']

model = dict(
    data_preprocessor=dict(
        cross_modal=None, same_masks=False, weights=(0.8, 0.5, 0.3), mask_ratio=0.5
    ),
    teacher=dict(target_norm='batch', average_layers=6),
    fusion_decoder=dict(filled=False, embed_dims=128, num_layers=1, num_heads=2),
    modality_decoder=dict(queries='all', joint=False, embed_dims=128, num_layers=2, num_heads=2),
    pairwise=dict(negatives='all', num_locations=32, projector=None),
    pixel_target=dict(dsm='normalized'),
    losses=dict(rec=0.5, align=1.0, hsic=0.2, cls=0.1, pix=1.0),
    cls_path='detached',
)
default_hooks = dict(
    schedules=dict(
        losses=dict(rec=(0.125, 0.5)),  # shares of training
        teacher=dict(momentum=dict(start=0.99)),
    )
)
