"""The document graph: neighbours, checks, hygiene."""
