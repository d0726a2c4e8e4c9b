// The room of ReferenceEngine; its files follow in the next commits.
