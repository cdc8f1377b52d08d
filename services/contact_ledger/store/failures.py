"""What the database says when a value, not the database, is the problem."""

import asyncpg

# No retry mends these: one record of the batch holds something that no column can.
UNSTORABLE: tuple[type[Exception], ...] = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,  # for example an index row that is too large
    OverflowError,
    UnicodeError,
)
