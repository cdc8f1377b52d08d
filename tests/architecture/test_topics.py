"""Every topic has the readers and writers its table names, and nobody else invents a name."""

import ast
from pathlib import Path

import pytest

from shared.events import topics
from shared.events.topics import TOPICS, Topic
from tests.support.tree import ROOT, python_files, relative, services

CONSTANTS = {id(value): name for name, value in vars(topics).items() if isinstance(value, Topic)}
# What a service reaches through the runtimes in shared/ that it runs.
THROUGH = {
    "sms_sender": ("sender",),
    "email_sender": ("sender",),
    "whatsapp_sender": ("sender",),
}


def words_of(service: str) -> set[str]:
    """Every name and attribute that a service, or a runtime it runs, mentions."""
    runtimes = ("directory.py", *THROUGH.get(service, ()))
    places = [ROOT / "services" / service, *(ROOT / "shared" / part for part in runtimes)]
    files = [
        path for place in places for path in ([place] if place.is_file() else place.rglob("*.py"))
    ]
    return {word for path in files for word in mentioned(path)}


def mentioned(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
    return names


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_has_its_readers_and_writers(topic: Topic) -> None:
    constant = CONSTANTS[id(topic)]
    shared_name = "TASKS_BY_CHANNEL" if topic.name.startswith("contact.tasks.") else constant
    silent = [
        service
        for service in {*topic.consumers, *topic.producers} & set(services())
        if not {constant, shared_name} & words_of(service)
    ]
    assert not silent, f"the table says they read or write it, their code never names {constant}"


def test_topic_names_are_written_in_one_place() -> None:
    names = {topic.name for topic in TOPICS}
    table = Path(topics.__file__)
    repeated = [
        f"{relative(path)}:{node.lineno}"
        for path in python_files("services", "shared", "deploy")
        if path != table
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert not repeated, "use the constant of shared/events/topics.py"
