"""Compiled loops over arrays: arrays in, arrays out; imported as `icp.kernels`."""
