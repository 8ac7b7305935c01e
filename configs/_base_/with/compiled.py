# Compiled transformer layers (docs/scaling.md).
default_hooks = dict(compile=dict(type='mssdf.CompileLayersHook'))
