"""Request bins: made, read, and checked as their receiver would check what they get."""
