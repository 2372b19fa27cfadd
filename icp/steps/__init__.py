"""The steps of a run, a folder each, named as the step; none imports another."""
