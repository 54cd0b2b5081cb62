"""Nouns and rules: no await, no clock, no chance, no files; those come in as arguments."""
