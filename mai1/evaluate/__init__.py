"""Held-out loss, baselines and answers."""
