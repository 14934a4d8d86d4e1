"""Engines: where the tasks of `mai1 prepare` run, one by one, in any order, with the same result everywhere."""
