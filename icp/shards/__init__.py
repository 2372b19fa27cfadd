"""Shards as a trainer reads them."""
