"""One module per provider: send, authenticate, read_webhook."""
