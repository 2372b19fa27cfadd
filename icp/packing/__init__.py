"""Windows: documents chosen together, cut, laid and numbered."""
