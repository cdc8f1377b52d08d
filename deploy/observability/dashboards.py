"""Every dashboard, as a file: what Grafana is given and what the tests check.

In: the modules that describe them. Out: path and JSON text of each.
"""

import json
from pathlib import Path

from deploy.observability.overview import OVERVIEW
from deploy.observability.panels import as_json
from deploy.observability.servers import SERVERS
from deploy.observability.services import SERVICES

FOLDER = Path(__file__).parent / "grafana" / "dashboards"
DASHBOARDS = (OVERVIEW, *SERVICES, SERVERS)


def files() -> dict[Path, str]:
    """Return the text of every dashboard's file."""
    return {
        FOLDER / f"{each.uid.removeprefix('regua-')}.json": json.dumps(as_json(each), indent=1)
        + "\n"
        for each in DASHBOARDS
    }
