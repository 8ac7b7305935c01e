"""Preparation of training data from raw imagery: pairs, public data sets, examples, statistics."""
