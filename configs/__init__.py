"""Presets and the bundled quickstart corpus; imported as `icp.configs`."""
