# Hooks, logging and environment that all pre-training shares.
default_scope = 'mssdf'
custom_imports = dict(imports=['mssdf'], allow_failed_imports=False)

# by name, so that a child changes one alone
default_hooks = dict(
    # masks follow (seed, iteration) and the window's place in the batch of all ranks, dropout the
    # rank too: a resumed run draws the same, on another number of ranks the same masks
    iteration_seed=dict(type='mssdf.IterationSeedHook'),
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    throughput=dict(type='mssdf.ThroughputHook'),
    # SIGINT, SIGTERM, SIGUSR1: all ranks save and stop; docs/guide/cluster.md
    interruption=dict(type='mssdf.InterruptionHook'),
    # a rank that died or hangs ends all, and is named
    watchdog=dict(type='mssdf.WatchdogHook', silence=120, timeout=600, long_timeout=3600),
    straggler=dict(type='mssdf.StragglerHook', interval=50),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # written to a temporary name and moved; --resume falls back over a damaged one
    checkpoint=dict(
        type='mssdf.AtomicCheckpointHook', by_epoch=True, interval=10, max_keep_ckpts=3
    ),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl', timeout=3600),
)
vis_backends = [dict(type='LocalVisBackend')]  # and dict(type='TensorboardVisBackend'), if wanted
visualizer = dict(type='Visualizer', vis_backends=vis_backends)
log_processor = dict(type='mssdf.CompactLogProcessor', window_size=50)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
