"""The first step of preparation: sources are cut into slices, and slices are read as documents, whatever is wrong with them."""
