"""Checkpoints made larger or smaller: dense networks become experts, experts are added, split, cloned and dropped."""
