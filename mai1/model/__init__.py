"""The model: torch only; process groups arrive as arguments."""
