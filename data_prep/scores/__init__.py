"""Quality scores: one number per document and scorer, and what of it is kept."""
