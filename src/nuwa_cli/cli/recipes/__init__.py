"""Recipes as data: what goes in, command lines that come out, what is up to date, whether two files agree."""
