"""Entry points for batch engines; imported as `icp.jobs`."""
