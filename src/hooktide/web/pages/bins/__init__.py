"""A bin's page: what came in, what is answered; its link is all that it takes to open it."""
