"""Raw text to token shards: read, clean, filter, deduplicate, split, tokenize."""
