"""The engine room: the only one that knows DeepSpeed."""
