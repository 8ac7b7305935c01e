# Sharded training (docs/results/scaling.md): a child adds this to the bases of any config.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='mssdf.FSDPStrategy',
    checkpoints='sharded',  # or 'full': one file, gathered by rank 0
    layers=('TransformerEncoderLayer',),  # each is gathered when it runs
    param_dtype='bfloat16',  # in which layers are gathered; to go with AMP of the same type
    reduce_dtype='float32',
    cpu_offload=False,
    reshard_after_forward=True,  # False: more memory, less traffic
)
