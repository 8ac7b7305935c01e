# Parameters, gradients and optimizer spread over the GPUs (docs/results/scaling.md).
from importlib import import_module

expect = import_module('mssdf.cli.overlays').expect
expect(_base_, 'fsdp', 'model.type', 'a pre-training of MSSDF', ('mssdf.MSSDF',))
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
model = dict(checkpoint_activations=True)
