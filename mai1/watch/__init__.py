"""What watches a run and starts it again. Light to import: the monitor is a process that must not load torch."""
