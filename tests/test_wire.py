"""Wire models: requests reject unknown fields, responses ignore them."""

import pkgutil
from importlib import import_module
from typing import Any, get_args

import msgspec
import pytest

from hooktide import wire
from hooktide.domain.model import DeliveryState, EndpointKind, KeyScope, Role
from hooktide.wire import events, fields

MODELS = {
    model
    for found in pkgutil.iter_modules(wire.__path__)
    for model in vars(import_module(f"hooktide.wire.{found.name}")).values()
    if isinstance(model, type) and issubclass(model, msgspec.Struct)
}
ANSWERS = {model for model in MODELS if issubclass(model, fields.ResponseModel)}


def test_only_requests_refuse_members_that_they_do_not_know() -> None:
    assert len(ANSWERS) > 30
    assert len(MODELS - ANSWERS) > 20
    for model in MODELS:
        assert model.__struct_config__.forbid_unknown_fields is (model not in ANSWERS), model
        assert model.__struct_config__.frozen, model


DELIVERY: dict[str, Any] = {
    "id": "dlv_1",
    "account": "acc_1",
    "endpoint": "ep_1",
    "event": "evt_1",
    "event_type": "invoice.paid",
    "origin": "event",
    "state": "parked",
    "reason": "",
    "attempts": 0,
    "next_attempt_at": None,
    "created_at": "2026-01-31T12:00:00.000000Z",
    "ended_at": None,
}


def test_a_client_reads_values_and_members_that_a_newer_server_has_added() -> None:
    found = msgspec.convert(DELIVERY | {"colour": "red"}, events.Delivery)
    assert found.state == "parked"


@pytest.mark.parametrize("body", [{"what": "all"}, {"what": "failed", "colour": "red"}])
def test_a_request_with_an_unknown_value_or_member_is_refused(body: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, events.ReplayIn)


def test_requests_have_the_values_of_the_servers_enumerations() -> None:
    for literal, kind in (
        (fields.DeliveryState, DeliveryState),
        (fields.EndpointKind, EndpointKind),
        (fields.KeyScope, KeyScope),
        (fields.Role, Role),
    ):
        assert set(get_args(literal)) == set(kind)
