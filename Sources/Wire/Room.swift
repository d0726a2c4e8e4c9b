// The room of Wire; its files follow in the next commits.
