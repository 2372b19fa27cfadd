"""The phases of the step `embeddings`: what they share, those of models of the corpus, those of own vectors."""
