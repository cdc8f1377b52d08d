"""People and their addresses: who asked for silence, who paid, who wrote to them last.

In: addresses that messages go to, and (from a test or demo) which of them are one person's. Out:
one `Person` per person. An address that nobody spoke of is a person of its own.
"""

from collections.abc import Sequence

import msgspec

from deploy.sandbox.messages import Message

PEOPLE_MAX = 500_000  # whoever was written to longest ago is forgotten first


class Person(msgspec.Struct, gc=False):
    """What the sandbox remembers of one person; `address` is the first of theirs.

    `messages` counts by address (fate is an address's), `last` has the last message by provider.
    """

    address: str
    silent: bool = False
    paid: bool = False
    messages: dict[str, int] = msgspec.field(default_factory=dict)
    last: dict[str, Message] = msgspec.field(default_factory=dict)

    def written_to(self, message: Message) -> int:
        """Remember a message; return the how-manyth to its address it is."""
        self.last.pop(message.provider, None)
        self.last[message.provider] = message
        nth = self.messages[message.to] = self.messages.get(message.to, 0) + 1
        return nth

    def last_from(self, provider: str | None) -> Message | None:
        """Return the last message, of a provider if one is given; None without any."""
        if provider is None:
            return self.last[next(reversed(self.last))] if self.last else None
        return self.last.get(provider)


class People:
    """Everybody, by any of their addresses."""

    def __init__(self) -> None:
        """Start with nobody known."""
        self._people: dict[str, Person] = {}

    def get(self, address: str) -> Person:
        """Return the person at an address, new if need be."""
        person = self._people.get(address)
        if person is None:
            person = self._add(address, Person(address))
        return person

    def introduce(self, addresses: Sequence[str]) -> None:
        """Say that these addresses are one person's; the first stands for them."""
        person = self.get(addresses[0])
        for address in addresses[1:]:
            self._people.pop(address, None)
            self._add(address, person)

    def first_address(self, address: str) -> str:
        """Return the address that stands for the person at this one."""
        person = self._people.get(address)
        return address if person is None else person.address

    def _add(self, address: str, person: Person) -> Person:
        if len(self._people) >= PEOPLE_MAX:
            del self._people[next(iter(self._people))]
        self._people[address] = person
        return person
