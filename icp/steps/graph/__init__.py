"""The step `graph`: semantic duplicates, conflicts, and the graph of the nodes that stay."""
