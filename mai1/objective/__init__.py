"""What a step minimises: the next token's loss in pretraining and instruction tuning, or a loss of preferences."""
