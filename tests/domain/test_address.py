"""The grammar of target URLs and the refused addresses, checked with test vectors."""

import json
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooktide import __version__
from hooktide.domain.errors import InvalidError
from hooktide.domain.http.address import (
    Target,
    UrlPolicy,
    check_address,
    check_proxy,
    check_url,
    read_address,
)

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "ssrf.json").read_text()
)["vectors"]
OPEN = UrlPolicy(allow_http=True)


def of_phase(phase: str) -> list[Any]:
    return [pytest.param(v, id=v["id"]) for v in VECTORS if v["phase"] == phase]


def code_of(url: str, policy: UrlPolicy = OPEN) -> str:
    with pytest.raises(InvalidError) as refused:
        check_url(url, policy)
    return refused.value.code


@pytest.mark.parametrize("vector", of_phase("register"))
def test_a_url_is_decided_as_its_vector_says(vector: dict[str, Any]) -> None:
    if vector["expect"] == "refuse":
        assert code_of(vector["url"]) == vector["code"]
        return
    target = check_url(vector["url"], OPEN)
    assert {
        "scheme": target.scheme,
        "host": target.host,
        "port": target.port,
        "target": target.path,
    } == vector["canonical"]


@pytest.mark.parametrize("vector", of_phase("connect"))
def test_an_answer_of_the_resolver_is_decided_as_its_vector_says(vector: dict[str, Any]) -> None:
    policy = UrlPolicy(
        allow_networks=tuple(vector.get("policy", {}).get("allow_cidrs", ())),
        deny_networks=tuple(vector.get("policy", {}).get("deny_cidrs", ())),
        nat64=vector.get("policy", {}).get("nat64", False),
    )
    assert check_url(vector["url"], policy).port == vector["canonical"]["port"]
    codes = {check_address(read_address(text), policy) for text in vector["dns"]} - {None}
    assert codes == ({vector["code"]} if vector["expect"] == "refuse" else set())


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=500)
def test_a_nat64_address_is_judged_as_the_ipv4_address_in_it(number: int) -> None:
    plain = check_address(IPv4Address(number), OPEN)
    wrapped = IPv6Address((0x64FF9B << 96) | number)
    assert check_address(wrapped, UrlPolicy(nat64=True)) == plain
    assert check_address(wrapped, OPEN) == "ip_v6_not_global_unicast"


@given(
    st.one_of(
        st.integers(0, 2**120 - 1),
        st.integers(0, 2**112 - 1).map(lambda rest: (0x2002 << 112) | rest),
        st.integers(0x4000 << 112, 2**128 - 1),
    )
)
def test_no_address_outside_global_unicast_is_ever_dialled(number: int) -> None:
    assert check_address(IPv6Address(number), OPEN) is not None


@given(st.integers(0, 2**32 - 1))
def test_a_mapped_spelling_inherits_no_permission(number: int) -> None:
    everything = UrlPolicy(allow_networks=("0.0.0.0/0", "::/0"))
    assert check_address(IPv6Address((0xFFFF << 32) | number), everything) == "ip_v4_mapped"


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_a_refusal(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com/{text}", f"https://a.com:{text}/"):
        try:
            target = check_url(url, OPEN)
        except InvalidError:
            continue
        assert check_url(target.url, OPEN) == target
        assert target.url.isascii()
        assert target.prefix.count(b"\r\n") == 5


def test_the_head_start_names_the_port_only_where_it_is_not_the_default() -> None:
    plain = check_url("HTTPS://Example.com:443/Hook?a=1", UrlPolicy())
    assert plain.url == "https://example.com/Hook?a=1"
    agent = f"Hooktide/{__version__}".encode()
    assert plain.prefix == (
        b"POST /Hook?a=1 HTTP/1.1\r\nhost: example.com\r\nuser-agent: " + agent + b"\r\n"
        b"accept: */*\r\naccept-encoding: identity\r\n"
    )
    assert b"\r\nhost: [2606:4700::1]:8443\r\n" in (
        check_url("https://[2606:4700:0::1]:8443", UrlPolicy()).prefix
    )


def test_a_literal_is_known_as_one() -> None:
    assert check_url("https://8.8.8.8/", OPEN).literal == "8.8.8.8"
    assert check_url("https://[2606:4700::1]/", OPEN).literal == "2606:4700::1"
    assert check_url("https://0x7f000001.example.com/", OPEN).literal is None


def test_plain_http_is_for_those_who_asked_for_it() -> None:
    assert code_of("http://example.com/", UrlPolicy()) == "scheme"


def test_strict_ports_leave_only_443() -> None:
    strict = UrlPolicy(strict_ports=True)
    assert code_of("https://example.com:8443/", strict) == "port_policy"
    assert check_url("https://example.com/", strict).port == 443


@pytest.mark.parametrize("port", [1, 21, 79, 81, 442, 444, 1023, 2375, 6379, 10250, 27017])
def test_a_port_of_another_service_is_refused(port: int) -> None:
    assert code_of(f"https://example.com:{port}/") == "port_policy"


def test_the_operator_opens_networks_and_closing_wins() -> None:
    policy = UrlPolicy(allow_networks=("127.0.0.0/8", "fd00::/8"), deny_networks=("127.0.0.9/32",))
    assert check_url("https://127.0.0.1:8443/", policy).literal == "127.0.0.1"
    assert check_url("https://[fd00::1]/", policy).literal == "fd00::1"
    assert code_of("https://127.0.0.9/", policy) == "ip_operator_denied"
    assert code_of("https://10.0.0.1/", policy) == "ip_v4_special"


def test_an_own_bin_is_allowed_exactly_and_nothing_beside_it() -> None:
    policy = UrlPolicy(allow_http=True, own_bins="http://localhost:8080/bin/")
    assert check_url("http://localhost:8080/bin/AbCdEfGhIjKlMnOpQrStUv", policy).port == 8080
    assert check_url("http://localhost:8080/bin/AbCdEfGhIjKlMnOpQrStUv/503", policy).port == 8080
    v6 = UrlPolicy(own_bins="http://[::1]:8080/bin/")
    assert check_url("http://[::1]:8080/bin/AbCdEfGhIjKlMnOpQrStUv", v6).literal == "::1"
    assert code_of("https://localhost:8081/", policy) == "single_label"
    for path in (
        "v1/events",
        "bin/AbCdEfGhIjKlMnOpQrStUv/../../v1/events",
        "bin/AbCdEfGhIjKlMnOpQrStUv?a=b",
        "bin/",
    ):
        assert code_of(f"http://localhost:8080/{path}", policy) == "single_label"
    policy = UrlPolicy(own_bins="http://localhost:8080/bin/")
    assert code_of("http://example.com:8080/", policy) == "scheme"


@pytest.mark.parametrize(
    ("networks", "said"),
    [((), "write the receiver's full name"), (("127.0.0.0/8",), "write the address, 127.0.0.1")],
)
def test_localhost_is_refused_with_what_to_write(networks: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        check_url("https://localhost:3000/", UrlPolicy(allow_networks=networks))


def test_a_policy_with_a_wrong_network_is_not_made() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        UrlPolicy(allow_networks=("10.0.0.1/8",))


def test_an_internationalised_host_is_refused_with_the_form_to_write() -> None:
    with pytest.raises(InvalidError, match=r"xn--bcher-kva\.de"):
        check_url("https://bücher.de/hook", OPEN)


def test_a_url_may_have_2048_characters() -> None:
    room = 2048 - len("https://example.com/")
    assert len(check_url("https://example.com/" + "a" * room, OPEN).url) == 2048
    assert code_of("https://example.com/" + "a" * (room + 1)) == "too_long"


def test_a_proxy_may_be_anywhere_the_operator_says() -> None:
    assert check_proxy("http://10.0.0.5:3128") == Target("http", "10.0.0.5", 3128, "/")
    assert check_proxy("http://squid:3128").host == "squid"
    for wrong in ("https://squid:3128", "http://squid:3128/path", "http://me:pw@squid:3128"):
        with pytest.raises(InvalidError):
            check_proxy(wrong)
