"""Which documents and passages say again what others said: exact copies, near copies, repeated passages."""
