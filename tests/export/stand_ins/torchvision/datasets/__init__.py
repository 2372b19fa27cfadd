"""See `torchvision`."""


class VisionDataset:
    """Never made: rows of tokens are read."""
