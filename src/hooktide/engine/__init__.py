"""What the server does in the background: delivering, retrying, recording, maintenance."""
