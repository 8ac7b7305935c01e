"""From data sets as they are published to the layouts that the configs read."""
