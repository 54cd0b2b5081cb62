"""The processes on one database: this one's number, and the claims of dead ones."""
