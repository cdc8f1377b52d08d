"""A step that nothing can carry is told when it is configured, not found when it is withheld."""

from typing import Any

from tests.support.scheduler import ACCOUNT, LADDER, PORTFOLIO, TEMPLATE, Doors, Json

CHAT = ACCOUNT | {"channel": "whatsapp", "provider": "meta"}
TWO_STEPS = LADDER + (
    "  - key: d5\n"
    "    offset_days: 5\n"
    "    stage: notice\n"
    "    channels: [whatsapp]\n"
    "    templates: {whatsapp: chat}\n"
)


async def put(door: Doors, path: str, body: Json) -> list[dict[str, Any]]:
    answer = await door.call("PUT", f"/v1/config/{path}", json=body)
    assert answer.status_code in (200, 201), answer.text
    warnings: list[dict[str, Any]] = answer.json()["warnings"]
    return warnings


async def test_accounts_and_templates_may_follow_the_portfolio(door: Doors) -> None:
    """A newcomer begins with one channel; each answer says what is still missing."""
    chat = TEMPLATE | {"channel": "whatsapp", "texts": {"en-US": "Hello {first_name}"}}
    assert await put(door, "template/chat", chat) == []
    [later] = await put(door, "ladder/short", {"text": TWO_STEPS})
    assert later["field"] == "portfolio cards: steps.d5", "the portfolio was there before"

    [missing] = await put(door, "portfolio/cards", PORTFOLIO)
    assert missing["field"] == "steps.d5"
    assert missing["message"].endswith("whatsapp: the portfolio has no account")
    assert missing["remedy"] == "name an account in accounts.whatsapp"

    assert await put(door, "account/chat", CHAT) == [], "no portfolio uses it yet"
    both = PORTFOLIO | {"accounts": {"sms": "main", "whatsapp": "chat"}}
    [silent] = await put(door, "portfolio/cards", both)
    assert silent["remedy"] == "add pt-BR to the texts of template chat"
    read = await door.call("GET", "/v1/config/portfolio/cards")
    assert read.json()["warnings"] == [silent], "and it can be looked up"

    spoken = chat | {"texts": {"pt": "Olá {first_name}"}}
    assert await put(door, "template/chat", spoken) == []
    assert await put(door, "portfolio/cards", both) == []


async def test_what_takes_a_step_its_last_channel_says_so(door: Doors) -> None:
    abroad = ACCOUNT | {"countries": ["US"]}
    [account] = await put(door, "account/main", abroad)
    assert account["field"] == "portfolio cards: steps.d1"
    assert account["remedy"] == "choose another account, or extend its roles or countries"
    assert await put(door, "account/main", ACCOUNT) == []
    [template] = await put(door, "template/reminder", TEMPLATE | {"texts": {"en-US": "Hello"}})
    assert template["field"] == "portfolio cards: steps.d1"
    gone = await door.call("DELETE", "/v1/config/template/reminder")
    assert gone.json()["warnings"][0]["remedy"] == "store template reminder"


async def test_warnings_are_no_part_of_the_entry(door: Doors) -> None:
    assert await put(door, "portfolio/empty", PORTFOLIO | {"accounts": {}}) != []
    [(kind, entry)] = [
        (kind, entry)
        for kind, entry in await door.facts("platform.config.v1")
        if entry["id"] == "empty"
    ]
    assert kind == "config.changed.v1"
    assert "warnings" not in entry
    again = await door.call("PUT", "/v1/config/portfolio/empty", json=PORTFOLIO | {"accounts": {}})
    assert again.json()["version"] == 1, "the same body is no new version, and warns again"
    assert again.json()["warnings"]
