# The paper's recipe on the quick start's data and budget, with decoders of a ViT-T's size.
_base_ = [
    '../../_base_/models/mssdf-paper_vit-b-p16.py',
    '../../_base_/datasets/autzen_rgb-dsm_128.py',
    '../../_base_/schedules/adamw_cpu-minutes.py',
]

model = dict(
    data_preprocessor=dict(modalities={{_base_.modalities}}),
    backbone=dict(arch='deit-tiny', img_size={{_base_.window_size}}),
    fusion_decoder=dict(embed_dims=128, num_layers=1, num_heads=2),
    modality_decoder=dict(embed_dims=128, num_layers=2, num_heads=2),
)
train_dataloader = dict(dataset=dict(windows=dict(per_epoch=512)))
