"""The tables of the lint, one language a file: what is a claim, what undoes it, and what a user may ask for instead."""
