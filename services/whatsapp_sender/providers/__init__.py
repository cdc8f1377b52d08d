"""SMS providers, one file each."""
