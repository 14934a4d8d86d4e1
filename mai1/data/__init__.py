"""Token shards, packing, batches and the loader."""
