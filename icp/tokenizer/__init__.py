"""Tokenizers: their files, their special tokens, how long texts are cut for them."""
