"""What a process says about itself: logs, metrics and traces, none with a debtor's data."""
