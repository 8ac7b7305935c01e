"""Rasters: headers, grids, windows, validity, resampling, retries and the index of scenes."""
