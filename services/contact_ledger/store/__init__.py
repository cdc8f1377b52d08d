"""Every SQL statement of the ledger, one module per question; the caller owns the transaction."""
