// The room of Dialects; its files follow in the next commits.
