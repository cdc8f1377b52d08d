"""What the database says when a value, not the database, is the problem."""

import asyncpg

# No retry mends these: one record of the batch holds something that no column or index takes.
UNSTORABLE_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    OverflowError,
    UnicodeError,
)
