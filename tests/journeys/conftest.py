"""Sites for journeys: one platform a run, renewed when a journey left it unfit for the next.

In: the run's folder. Out: `site` (a running platform on servers of its own) and `journey` (a fresh
tenant on it at midday).
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.collector import Collector
from tests.support.journey import Journey, Site


class Sites:
    """The present site; a broken one is given up, and the next journey gets another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._present: Site | None = None

    def sound(self) -> Site:
        """A site on which everything runs."""
        if self._present is None:
            site = Site(self._folder / f"site-{uuid4().hex[:8]}")
            site.start()
            self._present = site
        return self._present

    def give_up(self) -> None:
        """Stop the present site."""
        site, self._present = self._present, None
        if site is not None:
            site.stop()


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where every process of this run's sites sends its spans: all of them are sampled."""
    variables = ("OTLP_ENDPOINT", "TRACE_SAMPLE_RATIO")
    with Collector() as listening, pytest.MonkeyPatch.context() as patch:
        for name, value in zip(variables, (listening.url, "1"), strict=True):
            patch.setenv(name, value)
        yield listening


@pytest.fixture(scope="session")
def sites(run_folder: Path, collector: Collector) -> Iterator[Sites]:
    """This run's sites."""
    del collector  # it listens before the first process starts
    made = Sites(run_folder)
    yield made
    made.give_up()


@pytest.fixture
def site(sites: Sites) -> Site:
    """A running platform, shared with the other journeys."""
    return sites.sound()


@pytest.fixture
def journeys(sites: Sites) -> Iterator[list[Journey]]:
    """Journeys put in here are closed at the end; a site where that fails is given up."""
    yield from closed(sites)


@pytest.fixture(scope="module")
def shared_journeys(sites: Sites) -> Iterator[list[Journey]]:
    """The same for journeys that several tests of a module look at."""
    yield from closed(sites)


def closed(sites: Sites) -> Iterator[list[Journey]]:
    """Yield a list; close the journeys in it, and give the site up when that fails."""
    begun: list[Journey] = []
    yield begun
    try:
        for journey in begun:
            journey.close()
    except BaseException:
        sites.give_up()
        raise
    finally:
        for journey in begun:
            journey.platform.__exit__(None, None, None)


@pytest.fixture
def journey(site: Site, journeys: list[Journey]) -> Journey:
    """A fresh tenant at midday, when everything is allowed, on a fast account."""
    begun = site.journey()
    journeys.append(begun)
    return begun
