"""Migrations of every sender's schema; the role's search_path says whose."""
