"""What is looked at on the allocated nodes before the first step."""
