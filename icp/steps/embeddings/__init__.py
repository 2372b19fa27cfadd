"""The step `embeddings`: a vector for each survivor."""
