"""Checks of built task datasets before training: files, label maps, what a pipeline delivers."""
