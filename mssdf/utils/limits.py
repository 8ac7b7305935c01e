"""Limits of measured values."""

# No unit of imagery or height reaches this. A larger value is a nodata value that the file does not
# declare (-3.4e38 is common) or a damaged number, and its square no longer fits into a float32.
LARGEST_VALUE = 1e15

# In standard deviations from the mean. Measurements stay far below, half precision represents it,
# and one damaged pixel then has little weight, so that the optimizer recovers.
LARGEST_DEVIATION = 1e4
