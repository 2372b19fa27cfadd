"""Reading a corpus: files of every kind, rows, what is refused."""
