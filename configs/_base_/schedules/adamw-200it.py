# A minute or two on one CPU core: for comparing encoders on small sets, from a checkpoint and from
# scratch alike (tools/benchmarks/benchmark_finetuning.py). The rate is high enough for a random
# encoder to learn in 200 iterations; layer-wise decay is off, as it would hold one back.
_base_ = ['./adamw_layer-decay.py']

iterations, warm_up = 200, 20
optim_wrapper = dict(
    optimizer=dict(lr=5e-4, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay_rate=1.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=warm_up),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=warm_up, end=iterations),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
val_cfg = dict()
test_cfg = dict()
