# Compiled transformer layers (docs/results/scaling.md).
default_hooks = dict(compile=dict(type='mssdf.CompileLayersHook'))
