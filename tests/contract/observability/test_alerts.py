"""Alert rules, judged by Prometheus's own tool: each fires when it should, and not before."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.observability.dashboards import FOLDER
from tests.contract.observability.alert_cases import CASES, Case, Series
from tests.support.promtool import promtool

OBSERVABILITY = FOLDER.parents[1]
RULES = OBSERVABILITY / "prometheus" / "rules" / "regua.yml"
RUNBOOKS = OBSERVABILITY / "runbooks"
PARTS = ("## Look at", "## Do", "## Over when")
TEMPLATE = re.compile(r"\{\{ \$labels\.(\w+) \}\}")


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_the_rules_are_in_order() -> None:
    judge("check", "rules", str(RULES))


def test_each_alert_fires_when_it_should_and_keeps_quiet_otherwise(tmp_path: Path) -> None:
    tests = [judged(name, case) for name, case in CASES.items()]
    tests += [judged(name, case, quiet=True) for name, case in CASES.items()]
    file = tmp_path / "alerts.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": tests}))
    judge("test", "rules", str(file))


def test_a_rule_that_never_fires_is_noticed(tmp_path: Path) -> None:
    name, case = "ReguaLag", CASES["ReguaLag"]
    asleep = judged(name, case._replace(fires=case.quiet))
    file = tmp_path / "alerts.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [asleep]}))
    with pytest.raises(AssertionError, match="ReguaLag"):
        judge("test", "rules", str(file))


def test_each_alert_has_its_cases_its_page_and_a_known_urgency() -> None:
    found = rules()
    assert set(CASES) == set(found)
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == set(found)
    for name, rule in found.items():
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert rule["labels"]["service"], name
        page = RUNBOOKS / f"{name}.md"
        assert rule["annotations"]["runbook"] == str(page.relative_to(OBSERVABILITY.parents[1]))
        text = page.read_text()
        assert text.startswith(f"# {name}\n"), name
        assert all(part in text for part in PARTS), name


def judged(name: str, case: Case, *, quiet: bool = False) -> dict[str, Any]:
    """One test as promtool reads it."""
    series: Series = case.quiet if quiet else case.fires
    return {
        "name": f"{name} {'is quiet' if quiet else 'fires'}",
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{case.at}m",
                "alertname": name,
                "exp_alerts": [] if quiet else [expected(rules()[name], case.labels)],
            }
        ],
    }


def expected(rule: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """What Alertmanager would be told."""

    def rendered(texts: dict[str, str]) -> dict[str, str]:
        return {key: TEMPLATE.sub(lambda m: labels[m[1]], text) for key, text in texts.items()}

    return {
        "exp_labels": labels | rendered(rule["labels"]),
        "exp_annotations": rendered(rule["annotations"]),
    }


def judge(*words: str) -> None:
    done = subprocess.run(
        [promtool(), *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
