"""Request bins: created, read, and their requests verified as a receiver would verify them."""
