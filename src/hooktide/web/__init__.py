"""The doors: whoever asks for something over HTTP comes in here."""
