"""Documents that hold the questions of evaluation sets: found, reported by task, and dropped, labelled or cut."""
