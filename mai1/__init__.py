"""mai1 trains mixture-of-experts language models end to end, from raw text to a model that follows instructions."""

__version__ = "0.1.0"
