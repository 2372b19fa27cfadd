"""The step `documents`: files of every kind become numbered rows; what is refused is counted."""
