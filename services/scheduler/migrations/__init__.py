"""Schema `scheduler`, one numbered step after another (`python -m services.scheduler migrate`)."""
