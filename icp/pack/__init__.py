"""Windows of related documents, and where they come in training."""
