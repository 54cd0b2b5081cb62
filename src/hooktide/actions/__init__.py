"""What someone asks for, one file an area; checked here, made durable by the store."""
