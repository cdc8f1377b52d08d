"""One file per revision, named after it; they follow the runtime's own."""
