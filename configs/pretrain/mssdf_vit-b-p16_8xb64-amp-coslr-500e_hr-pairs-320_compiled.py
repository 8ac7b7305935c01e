# Our recipe for ViT-B with compiled transformer layers (docs/results/scaling.md).
_base_ = ['./mssdf_vit-b-p16_8xb64-amp-coslr-500e_hr-pairs-320.py']

default_hooks = dict(compile=dict(type='mssdf.CompileLayersHook'))
