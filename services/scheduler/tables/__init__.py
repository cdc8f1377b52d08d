"""The scheduler's tables as SQLAlchemy metadata: what migrations create and tests compare with.

In: one `describe` per part (intake, configuration, holds, work, planning). Out: `METADATA`. No
statement is ever built from these; SQL lives in `services.scheduler.store`.
"""

from sqlalchemy import MetaData

from services.scheduler.tables import configuration, holds, intake, planning, work
from shared.postgres import outbox

METADATA = MetaData()
outbox.define_tables(METADATA)
outbox.define_lane(METADATA)
intake.describe(METADATA)
configuration.describe(METADATA)
holds.describe(METADATA)
work.describe(METADATA)
planning.describe(METADATA)
