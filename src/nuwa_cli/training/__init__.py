"""One loop, several step functions: tokenizer, transformer, evaluator and re-ranker training."""
