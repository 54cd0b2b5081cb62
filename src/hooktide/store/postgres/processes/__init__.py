"""The processes on one database: which of them this one is, and what a dead one leaves behind."""
