"""What a run has: folders, files, records, locks, and where they lie. No other place knows names of files."""
