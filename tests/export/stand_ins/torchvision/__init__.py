"""What mosaicml-streaming imports of torchvision; no release of torchvision fits every CPU build of torch."""
