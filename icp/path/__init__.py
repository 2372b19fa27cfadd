"""The order of documents: a path through the graph, and how good it is."""
