"""The most similar rows of each row, exactly or nearly."""
