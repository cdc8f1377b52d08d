"""The documents are true: current tables, paths and targets that exist, a README a service."""

import re
from pathlib import Path

import pytest

from deploy.documents.blocks import BadBlock, blocks, documents, renewed
from deploy.documents.files import FOLDER, files
from deploy.documents.tables import TABLES, declared_metrics
from shared.events.topics import TOPICS
from tests.support.tree import ROOT, relative, services

DOCUMENTS = tuple(documents())
FILES = files()
PARTS_OF_A_SERVICE = ("**In**", "**Out**", "## Tables", "## Settings", "## When it fails")
FAILURE_MODES_MIN = 3
LINK = re.compile(r"\]\((?P<target>[^)\s#]+)(?:#[^)]*)?\)")
# What stands in backquotes and begins with a folder of ours is a path that must lead somewhere.
NAMED = re.compile(r"`(?P<path>(?:services|shared|deploy|tests)/[\w./-]*)`")
TARGET = re.compile(r"`make(?: -s)? (?P<target>[a-z-]+)")


def by_name(path: Path) -> str:
    return relative(path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_name)
def test_generated_tables_are_current(path: Path) -> None:
    text = path.read_text()
    assert renewed(text, TABLES) == text, "run `make docs`"


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_generated_files_are_current(path: Path) -> None:
    assert path.read_text() == FILES[path], "run `make docs`"


def test_no_generated_file_is_left_behind() -> None:
    assert {path for path in FOLDER.rglob("*") if path.is_file()} == FILES.keys()


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_name)
def test_links_lead_somewhere(path: Path) -> None:
    lost = [
        target
        for target in LINK.findall(path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert not lost


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_name)
def test_paths_named_in_text_exist(path: Path) -> None:
    lost = [named for named in NAMED.findall(path.read_text()) if not (ROOT / named).exists()]
    assert not lost


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_name)
def test_make_targets_named_in_text_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    lost = [
        target
        for target in TARGET.findall(path.read_text())
        if not re.search(rf"^{target}:", makefile, re.MULTILINE)
    ]
    assert not lost


@pytest.mark.parametrize("service", services())
def test_a_service_says_what_it_reads_writes_keeps_and_how_it_fails(service: str) -> None:
    text = (ROOT / "services" / service / "README.md").read_text()
    assert [part for part in PARTS_OF_A_SERVICE if part not in text] == []
    assert f"settings.{service}" in blocks(text)
    failures = text.partition("## When it fails")[2]
    assert failures.count("\n- **") >= FAILURE_MODES_MIN


def test_every_metric_topic_and_setting_has_its_row() -> None:
    texts = "".join(path.read_text() for path in DOCUMENTS)
    metrics = [metric.describe()[0].name for metric in declared_metrics()]  # type: ignore[attr-defined]
    missing = [name for name in metrics if f"`{name}" not in texts]
    missing += [topic.name for topic in TOPICS if f"`{topic.name}`" not in texts]
    assert not missing
    readme = blocks((ROOT / "README.md").read_text())
    assert {"settings.common", "settings.all"} <= readme.keys()


def test_a_marker_without_a_table_is_noticed() -> None:
    with pytest.raises(BadBlock, match="no table"):
        renewed("<!-- generated: nothing -->\n<!-- end -->\n", TABLES)
    with pytest.raises(BadBlock, match="lacks its"):
        blocks("<!-- generated: topics -->\n")


def test_a_stale_table_is_written_anew() -> None:
    stale = "before\n<!-- generated: topics -->\n| stale row |\n<!-- end -->\nafter\n"
    fresh = renewed(stale, TABLES)
    assert "stale row" not in fresh
    assert fresh.startswith("before\n")
    assert fresh.endswith("after\n")
    assert renewed(fresh, TABLES) == fresh
