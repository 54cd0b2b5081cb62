"""What a project calls endpoints and events, in the texts of its portal."""

from dataclasses import replace

import pytest

from hooktide.domain.phrase import counted, phrase
from hooktide.domain.project.portal import PortalWords
from hooktide.web.pages.framework.language import catalogue

OWN = PortalWords(endpoint="connection", endpoints="connections", event="update", events="updates")
GERMAN = PortalWords(
    endpoint="Verbindung", endpoints="Verbindungen", event="Nachricht", events="Nachrichten"
)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Add an endpoint", "Add a connection"),
        ("An endpoint is a URL", "A connection is a URL"),
        ("No endpoints yet", "No connections yet"),
        ("Endpoints and event types", "Connections and update types"),
        ("Find an id, an endpoint, an event type", "Find an id, a connection, an update type"),
        ("this endpoint's secret", "this connection's secret"),
        ("at least {events}, {endpoint}", "at least {events}, {endpoint}"),
        ("%(endpoints)s and %(event)s", "%(endpoints)s and %(event)s"),
        ("prevent eventually", "prevent eventually"),
    ],
)
def test_an_english_text_takes_the_names_wherever_it_speaks_of_one(message: str, said: str) -> None:
    assert replace(catalogue("en"), names=OWN).gettext(message) == said


def test_a_german_text_takes_the_names_where_they_need_no_article() -> None:
    german = replace(catalogue("de"), names=GERMAN)
    assert german.gettext("Add an endpoint") == "Verbindung hinzufügen"
    assert german.gettext("Endpoints") == "Verbindungen"
    assert german.say(counted(1, "endpoint")) == "1 Verbindung"
    assert german.say(counted(2, "event")) == "2 Nachrichten"
    assert german.gettext("Event types") == "Ereignistypen"
    assert german.gettext("Disable this endpoint?") == "Diesen Endpunkt deaktivieren?"


def test_values_are_not_renamed() -> None:
    english = replace(catalogue("en"), names=OWN)
    said = phrase("Stopped: {reason}.", reason="my endpoint")
    assert english.say(said) == "Stopped: my endpoint."
