"""From raw imagery to training data: pairs, public data sets, examples and statistics."""
