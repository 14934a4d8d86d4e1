"""What a rank sends in a step, and the records of real collectives that it is held against."""
