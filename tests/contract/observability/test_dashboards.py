"""Dashboards, read by Grafana's own model: nothing of them is lost on the way in."""

import json
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.observability.dashboards import FOLDER

PROVISIONED = {"prometheus", "tempo"}  # uids of the data sources that Grafana is given


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_grafanas_model_reads_all_of_a_dashboard(path: Path) -> None:
    written = json.loads(path.read_text())
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
    # What an annotation asks is its data source's business, which the model leaves to it.
    del written["annotations"]
    assert without_nulls(written) == kept(without_nulls(read), without_nulls(written))
    panels = [panel for panel in written["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} <= PROVISIONED
    assert len({panel["id"] for panel in written["panels"]}) == len(written["panels"])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_no_two_panels_share_a_place(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def without_nulls(value: Any) -> Any:
    """The value without what JSON leaves out or writes as null, as the writer likes."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def kept(read: Any, written: Any) -> Any:
    """What was written, as it was read; what the model adds by default is left out."""
    if isinstance(written, dict):
        return {key: kept(read[key], each) for key, each in written.items() if key in read}
    if isinstance(written, list):
        return [kept(one, other) for one, other in zip(read, written, strict=True)]
    return read
