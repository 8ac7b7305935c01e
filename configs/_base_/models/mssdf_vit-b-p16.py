# MSSDF as we recommend it. Reason and measurement of each change: docs/results/recipe.md.
_base_ = ['./mssdf-paper_vit-b-p16.py']

model = dict(
    data_preprocessor=dict(
        # every location of the target's that is visible can be aligned
        same_masks=True,
        # of the heights that are left half are hidden, and told from the colors there
        cross_modal=dict(target='dsm'),
        weights=(1.0, 1.0, 1.0),  # hiding flat patches first makes noise the target of L_pix
    ),
    embedding=dict(type='mssdf.PerModalityPatchEmbedding'),  # meters stay meters
    fusion_decoder=dict(filled=True, num_layers=0),  # what it cost goes into more windows
    modality_decoder=dict(queries='hidden', joint=True, num_layers=2),
    pairwise=dict(
        features='encoder',  # predictions can meet L_align by position alone
        negatives='location',  # and so can any features, with negatives from everywhere
        num_locations=64,
        projector=128,
        flat=dict(dsm=0.3),  # meters: heights of flat ground don't tell windows apart
    ),
    pixel_target=dict(dsm='raw'),  # flat ground, normalized, is noise
    # L_align at 1 leaves L_pix a tenth of the encoder's gradient
    losses=dict(rec=0.0, align=0.2, hsic=0.0, cls=0.0, pix=1.0),
    cls_path='token',  # as MAE's: it learns from the decoders
)

default_hooks = dict(schedules=dict(masking=dict(p=0.5)))
