"""Figures, never assertions: `make bench` prints one JSON line per benchmark."""
