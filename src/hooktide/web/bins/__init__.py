"""Request bins as receivers: ``bins`` takes what comes to one, ``bin_responses`` answers it."""
