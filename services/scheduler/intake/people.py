"""People as clients describe them: places that exist, addresses in canonical form.

In: the client's debtor shape, and the country that gives national phone numbers their meaning.
Out: `DebtorFacts`, or the problem that names the field.
"""

from functools import cache
from zoneinfo import available_timezones

import phonenumbers

from services.scheduler.intake import addresses, figures, shapes
from services.scheduler.intake.refusal import wrong
from shared.events import debt


def debtor_facts(
    shape: shapes.DebtorShape, debtor_ref: str, country: str | None
) -> debt.DebtorFacts:
    """Return the debtor's facts; `country` is the portfolio's, None when no portfolio is named."""
    places, points = shape.places, shape.contact_points
    return debt.DebtorFacts(
        debtor_ref=debtor_ref,
        name=shape.name,
        kind=shape.kind,
        locale=shape.locale,
        places=None
        if places is None
        else tuple(_place(p, f"$.data.debtor.places[{n}]") for n, p in enumerate(places)),
        contact_points=None
        if points is None
        else tuple(
            _point(p, country, f"$.data.debtor.contact_points[{n}]") for n, p in enumerate(points)
        ),
    )


def _place(place: shapes.PlaceShape, path: str) -> debt.Place:
    if place.country not in phonenumbers.SUPPORTED_REGIONS:
        raise wrong(f"{path}.country", "not a country", "send an ISO 3166 code, e.g. BR or US")
    if place.zone is not None and not is_zone(place.zone):
        raise wrong(f"{path}.zone", "not a time zone", "send an IANA name, e.g. America/Sao_Paulo")
    subdivision = place.subdivision
    if subdivision is not None and "-" in subdivision:
        within, _, subdivision = subdivision.partition("-")
        if within != place.country:
            raise wrong(f"{path}.subdivision", "of another country", "correct one of the two")
    return debt.Place(
        country=place.country, subdivision=subdivision, city=place.city, zone=place.zone
    )


def _point(point: shapes.ContactPointShape, country: str | None, path: str) -> debt.ContactPoint:
    return debt.ContactPoint(
        channel=point.channel,
        address=addresses.contact_address(
            point.channel, point.address, country=country, field=f"{path}.address"
        ),
        verified=point.verified,
        consent=point.consent,
        consent_origin=point.consent_origin,
        consent_at=figures.instant(point.consent_at, f"{path}.consent_at")
        if point.consent_at
        else None,
    )


def is_zone(name: str) -> bool:
    """Say whether this is an IANA time zone that we know."""
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    """Zones as the machine and `tzdata` know them, without files that are no zones."""
    return frozenset(available_timezones() - {"Factory", "localtime", "posixrules"})
