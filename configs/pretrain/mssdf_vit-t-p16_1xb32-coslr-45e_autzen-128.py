# The quick start's model and imagery for longer: 900 iterations. EuroSAT images stay at their own
# 64 px for the kNN accuracy.
_base_ = [
    '../_base_/models/mssdf_vit-b-p16.py',
    '../_base_/datasets/autzen_rgb-dsm_128.py',
    '../_base_/schedules/adamw_cpu-hour.py',
]

model = dict(
    data_preprocessor=dict(modalities={{_base_.modality_statistics}}),
    backbone=dict(arch='deit-tiny', img_size=128),
    ramps=dict(rec=(100, 400)),
    fusion_decoder=dict(embed_dims=128, num_layers=1, num_heads=2),
    modality_decoder=dict(embed_dims=128, num_layers=2, num_heads=2),
)
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=5),
    cross_modal=dict(every=5, maximum=0.5),
    teacher=dict(start=0.99),
    panel=dict(interval=15),
    knn=dict(type='mssdf.KNNHook', images='tests/data/eurosat_rgb', interval=15, img_size=64),
)
log_processor = dict(window_size=20)
