"""Nemotron-Pretraining-Dataset-sample: a few rows of each published data set, in ten subsets."""
