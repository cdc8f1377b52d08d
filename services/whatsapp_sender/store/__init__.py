"""SQL of what WhatsApp alone remembers."""
