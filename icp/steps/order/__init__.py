"""The step `order`: a path through all nodes, and how good it is."""
