"""The step `shards`: rows of tokens in training order, with what stands in each."""
