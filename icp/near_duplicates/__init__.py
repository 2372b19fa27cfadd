"""Finding near-duplicates: bands, buckets, exact checks, who is kept."""
