"""Every SQL statement a sender runs, one function per question; transactions belong to callers."""
