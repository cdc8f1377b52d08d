"""WhatsApp providers, one module each."""
