"""Which answers claim a person behind the assistant: feelings, wishes, a life; tables per language and one rule engine."""
