"""Tokens out of a model: exact wavefront decoding. Knows nothing of pixels, prompts or tasks."""
