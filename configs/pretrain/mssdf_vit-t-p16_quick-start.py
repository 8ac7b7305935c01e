# Our recipe, small: ViT-T on the imagery that ships, minutes on two cores. It demonstrates the full
# pipeline, with a kNN accuracy on EuroSAT images before and after, and a picture; it is not a
# benchmark.
_base_ = [
    '../_base_/models/mssdf_vit-b-p16.py',
    '../_base_/datasets/autzen_rgb-dsm_128.py',
    '../_base_/schedules/adamw_cpu-minutes.py',
]

model = dict(
    data_preprocessor=dict(modalities={{_base_.modalities}}),
    backbone=dict(arch='deit-tiny', img_size={{_base_.window_size}}),
    fusion_decoder=dict(embed_dims=192, num_heads=3),
    modality_decoder=dict(embed_dims=192, num_heads=3),
)
train_dataloader = dict(dataset=dict(windows=dict(per_epoch=512)))
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=10),
    panel=dict(interval=10),
    knn=dict(type='mssdf.KNNHook', images='tests/data/eurosat_rgb', folds=5, interval=10),
)
log_processor = dict(window_size=10)
