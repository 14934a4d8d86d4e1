"""The report: a run directory becomes one self-contained HTML page. Imports nothing else of mai1."""
