"""How large a measured value can be."""

# No unit of imagery or height reaches it. What lies beyond is a nodata value that the file does not
# declare (-3.4e38 is common) or a damaged number, and its square no longer fits into a float32.
LARGEST_VALUE = 1e15

# Deviations from the mean. Measurements stay far below, half precision holds it, and one damaged
# pixel then weighs little enough for an optimizer to forget.
LARGEST_DEVIATION = 1e4
