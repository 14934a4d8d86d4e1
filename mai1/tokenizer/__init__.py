"""Text to token ids and back: the SentencePiece room."""
