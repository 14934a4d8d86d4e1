"""How a run is doing, read from its files."""
