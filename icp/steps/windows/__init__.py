"""The step `windows`: which piece of which document stands in which window."""
