"""The demo: thirty days of a sample portfolio on the real parts, verified by an outside witness."""
