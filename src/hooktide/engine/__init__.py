"""What the server does without a request: delivering, retrying, recording, maintenance."""
