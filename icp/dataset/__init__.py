"""Shards as a training loop reads them."""
