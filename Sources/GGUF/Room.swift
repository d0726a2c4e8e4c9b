// The room of GGUF; its files follow in the next commits.
