"""Data sets of mmseg's kind that mmseg does not have, their packing, and names of classes."""
