# What all downstream configs share. The pre-training checkpoint comes from the command line
# (tools/train.py --checkpoint) or the variable MSSDF_CHECKPOINT. Bands, models and scopes are the
# children's.
custom_imports = dict(imports=['mssdf'], allow_failed_imports=False)

checkpoint = '{{$MSSDF_CHECKPOINT:not-given}}'

default_hooks = dict(
    # dropout follows from (seed, rank, iteration), augmentation from the sample's place in
    # training: a resumed run draws what one that never stopped does
    iteration_seed=dict(type='mssdf.IterationSeedHook'),
    sample_seed=dict(type='mssdf.SampleSeedHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # written to a temporary name and moved; --resume falls back over a damaged one
    checkpoint=dict(type='mssdf.AtomicCheckpointHook', by_epoch=True, interval=1, max_keep_ckpts=3),
    # SIGINT, SIGTERM, SIGUSR1: all ranks save and stop; docs/guide/cluster.md
    interruption=dict(type='mssdf.InterruptionHook'),
    # a rank that died or hangs ends all, and is named
    watchdog=dict(type='mssdf.WatchdogHook', silence=120, timeout=600, long_timeout=3600),
    straggler=dict(type='mssdf.StragglerHook', interval=50),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # some samples of each dataset, checked against the model before anything is trained or tested
    data_check=dict(type='mssdf.DataCheckHook', num_samples=8),
    # input, truth, prediction and error of the first samples, after validations and tests
    task_panel=dict(type='mssdf.TaskPanelHook', num=4),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl', timeout=3600),
)
vis_backends = [dict(type='LocalVisBackend')]  # and dict(type='TensorboardVisBackend'), if wanted
visualizer = dict(type='Visualizer', vis_backends=vis_backends)
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
