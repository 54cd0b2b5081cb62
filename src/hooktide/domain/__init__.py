"""The domain's objects and rules: no await, clock, randomness or files; those are arguments."""
