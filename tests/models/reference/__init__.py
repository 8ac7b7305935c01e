"""The method in NumPy, from method.md: one window, one modality, one patch after another.

Nothing here imports ``mssdf``. PyTorch gives the random numbers and the bicubic interpolation of
positions; everything else is NumPy in float64, with OpenCV's Sobel filter.
"""
