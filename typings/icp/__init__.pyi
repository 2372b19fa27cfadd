# mypy finds icp.kernels, icp.jobs and icp.configs here: it does not know that they are installed under these names.
