"""The step `dedup`: signatures, candidates, components, verdicts."""
