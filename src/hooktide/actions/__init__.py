"""What users and clients can do, one file per area: checked here, made durable by the store."""
