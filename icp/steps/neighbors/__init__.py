"""The step `neighbors`: the most similar rows of each row."""
