"""Stages of curation: each makes outcomes of documents, from its own configuration alone."""
