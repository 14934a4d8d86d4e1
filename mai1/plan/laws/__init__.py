"""Scaling laws: what each advises for a compute budget, side by side, and how they are fitted."""
