"""What a device holds at the fullest moment of a step, by kind."""
