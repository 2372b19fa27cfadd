"""A path through all documents, and bounds on how good one can be."""
