"""The best layouts that fit, and why others do not."""
