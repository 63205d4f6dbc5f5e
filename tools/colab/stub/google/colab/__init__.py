"""A stub: the lessons look whether it is imported, and transformers whether it can be."""
