"""One rank of a large run, without its devices."""
