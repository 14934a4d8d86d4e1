"""How long a step takes, and the published measurements that its constants are fitted to."""
