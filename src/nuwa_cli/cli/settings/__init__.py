"""Defaults from files and the environment, and where each value comes from."""
