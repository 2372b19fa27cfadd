"""Neighbours of all rows: `exact` compares every pair, `cells` those of a cell, `inverted` those of probed lists."""
