"""Checkpoints: a Hugging Face model directory that also resumes training on any topology."""
