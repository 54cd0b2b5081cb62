"""Users in the API, and how they log in."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from argon2 import PasswordHasher
from webkit import OPERATOR, Client, Site

from hooktide.actions.access.passwords import Passwords
from hooktide.actions.access.users import SESSION_LIFETIME, Users
from hooktide.actions.accounts import Accounts
from hooktide.domain.audit_log import SERVER
from hooktide.domain.errors import (
    BusyError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from hooktide.domain.ids import read
from hooktide.domain.model import DAY, SECOND, Micros, Role, Scope, User

PASSWORD = "correct horse battery"


def users_of(
    site: Site, clock: Callable[[], Micros] | None = None, passwords: Passwords | None = None
) -> Users:
    app = site.app
    now = clock or app.clock
    accounts = Accounts(app.store, app.directory, now)
    return Users(app.store, accounts, now, app.public_url, passwords)


def quick() -> Passwords:
    """Hash passwords cheaply, for tests with many logins."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


async def added(site: Site, name: str = "Ann", role: str = "member") -> int:
    made = (await site.operator.post("/v1/users", {"name": name, "role": role})).ok(201)
    return read("usr", made["id"])


@pytest.mark.both_databases
async def test_somebody_is_added_changed_and_removed(site: Site) -> None:
    (await site.operator.apply("invoice-maker")).ok()
    given = {"name": "Ann", "role": "viewer", "project": "invoice-maker"}
    ann = (await site.operator.post("/v1/users", given)).ok(201)
    assert given.items() <= ann.items()
    assert (ann["has_password"], ann["seen_at"]) == (False, None)
    path = f"/v1/users/{ann['id']}"
    for change in ({"role": "member"}, {"project": None}, {"name": "Änne"}, {}):
        ann |= change
        assert (await site.operator.patch(path, change)).ok() == ann
    assert (await site.operator.get(path)).ok() == ann
    owner, listed = (await site.operator.get("/v1/users")).ok()["items"]
    assert (listed, owner["name"]) == (ann, "owner")
    (await site.operator.delete(path)).ok(204)
    assert (await site.operator.get(path)).code == "not_found"


async def test_what_cannot_be_is_refused_with_its_reason(site: Site) -> None:
    post = site.operator.post
    ann = await added(site)
    assert (await post("/v1/users", {"name": "ANN", "role": "member"})).code == "user_exists"
    assert (await post("/v1/users", {"name": "b", "role": "boss"})).code == "invalid_body"
    assert (await post("/v1/users", {"name": " b", "role": "member"})).code == "invalid_text"
    nowhere = {"name": "b", "role": "member", "project": "nobody"}
    assert (await post("/v1/users", nowhere)).code == "not_found"
    [owner] = [
        each for each in (await site.operator.get("/v1/users")).ok()["items"]
        if each["name"] == "owner"
    ]  # fmt: skip
    path = f"/v1/users/{owner['id']}"
    assert (await site.operator.patch(path, {"role": "member"})).code == "last_owner"
    assert (await site.operator.delete(path)).code == "last_owner"
    assert (await users_of(site).get(Scope(), ann)).role is Role.MEMBER


async def test_an_unreadable_id_is_not_found(operator: Client) -> None:
    for id_ in ("usr_0000000000000001", "usr_x", "acc_0000000000000001"):
        answer = await operator.get(f"/v1/users/{id_}")
        assert (answer.code, answer.json["detail"]) == ("not_found", "there is no such user")


async def test_only_an_operators_key_manages_users(site: Site) -> None:
    await site.account()
    for client in (
        await site.key("project", project="invoice-maker"),
        await site.key("account", account="acme"),
    ):
        for method, path in (("GET", "/v1/users"), ("POST", "/v1/users")):
            assert (await client.call(method, path)).code == "forbidden"


@pytest.mark.both_databases
async def test_a_link_logs_in_once(site: Site) -> None:
    ann, users = await added(site), users_of(site)
    made = (await site.operator.post(f"/v1/users/usr_{ann:016x}/login-links")).ok(201)
    before, token = made["url"].rsplit("/", 1)
    assert before == f"{site.app.public_url}/dashboard/login"
    session, who = await users.login_by_link(token)
    assert (who.name, who.user_id, who.role, who.scope) == ("Ann", ann, Role.MEMBER, Scope())
    assert (who.may(Role.MEMBER), who.may(Role.OWNER)) == (True, False)
    with pytest.raises(NotFoundError):
        await users.login_by_link(token)
    assert await users.principal(session) == who
    await users.logout(who)
    assert await users.principal(session) is None
    for nobodys in ("", "htks_", session[:-1], session[:-1] + "\n", session + "x", "ä" * 48):
        assert await users.principal(nobodys) is None


@pytest.mark.both_databases
async def test_the_first_start_makes_an_owner_and_a_link_and_no_other_does(site: Site) -> None:
    [owner] = (await site.operator.get("/v1/users")).ok()["items"]
    assert (owner["name"], owner["role"], owner["project"]) == ("owner", "owner", None)
    assert await users_of(site).first_link() is None


@pytest.mark.both_databases
async def test_a_password_logs_in_its_user_only(site: Site) -> None:
    ann, users = await added(site), users_of(site)
    await users.set_password(SERVER, ann, PASSWORD)
    session, who = await users.login("aNN", PASSWORD, "")
    assert await users.principal(session) == who
    for name, password in (
        ("Ann", PASSWORD + "x"),
        ("Ann", ""),
        ("bob", PASSWORD),
        ("owner", ""),
        ("\0", PASSWORD),
        ("Ann", PASSWORD + "x" * 10_000),
    ):
        with pytest.raises(RefusedError, match="wrong name or password"):
            await users.login(name, password, "")
    assert (await users.get(Scope(), ann)).password.startswith("$argon2id$")
    assert PASSWORD not in (await users.get(Scope(), ann)).password
    await users.set_password(SERVER, ann, PASSWORD * 2)
    assert await users.principal(session) is None


async def test_a_password_is_long_enough_and_not_the_name(site: Site) -> None:
    ann, users = await added(site, "somebody-long"), users_of(site)
    for password in (
        "",
        "abcdef78901",
        " abcdef78901 ",
        "abcde" * 40 + "f",
        "SOMEBODY-long",
        " somebody-long",
        " " * 12,
        "abcdabcdABCD",
    ):
        with pytest.raises(InvalidError):
            await users.set_password(SERVER, ann, password)
    for password in ("abcde" * 40, "abcdef789012", "abcdeabcdeab"):
        await users.set_password(SERVER, ann, password)
        await users.login("somebody-long", password, "")


@pytest.mark.both_databases
async def test_guesses_from_elsewhere_do_not_delay_a_known_address(site: Site) -> None:
    now = site.app.clock()
    ann, users = await added(site), users_of(site, lambda: now, quick())
    await users.set_password(SERVER, ann, PASSWORD)
    await users.login("Ann", PASSWORD, "192.0.2.1")
    for number in range(101):
        with pytest.raises(RefusedError, match="wrong name or password"):
            await users.login("Ann", "wrong", f"198.51.100.{number}")
    with pytest.raises(BusyError, match="try again in 1 s"):
        await users.login("Ann", PASSWORD, "203.0.113.1")
    await users.login("Ann", PASSWORD, "192.0.2.1")


@pytest.mark.both_databases
async def test_another_process_counts_the_same_failures(site: Site) -> None:
    now = site.app.clock()
    one, other = (users_of(site, lambda: now, quick()) for _ in range(2))
    for users in (one, other, one, other, one, other):
        with pytest.raises(RefusedError, match="wrong name or password"):
            await users.login("bob", "wrong", "192.0.2.1")
    with pytest.raises(BusyError, match="try again in 1 s"):
        await one.login("BOB", "wrong", "192.0.2.1")
    now += SECOND
    with pytest.raises(RefusedError, match="wrong name or password"):
        await other.login("bob", "wrong", "192.0.2.1")
    with pytest.raises(BusyError, match="try again in 2 s"):
        await one.login("bob", "wrong", "192.0.2.1")


SCRYPT = "scrypt$15$8$1$SiPCEqYUySHs8BAENeRQyQ==$w+p6uC9lwOFugSSC4ckAAbLs0sPdjbbunnmMK3SN20g="
"""PASSWORD, as it was hashed until 0.1."""


@pytest.mark.both_databases
async def test_a_hash_of_an_older_form_lets_in_and_is_replaced_at_login(site: Site) -> None:
    ann, users = await added(site), users_of(site)
    store = site.app.store
    await store.update_user(ann, {"password": SCRYPT}, site.app.clock())
    session, _ = await users.begin(await store.get_user(ann))
    with pytest.raises(RefusedError, match="wrong name or password"):
        await users.login("Ann", PASSWORD + "x", "")
    assert (await store.get_user(ann)).password == SCRYPT
    await users.login("Ann", PASSWORD, "")
    replaced = (await store.get_user(ann)).password
    assert replaced.startswith("$argon2id$v=19$m=32768,t=3,p=1$")
    assert await users.principal(session) is not None
    await users.login("Ann", PASSWORD, "")
    assert (await store.get_user(ann)).password == replaced


async def test_a_hash_that_cannot_be_replaced_now_lets_in_all_the_same(site: Site) -> None:
    ann, users = await added(site), users_of(site)
    store: Any = site.app.store
    await store.update_user(ann, {"password": SCRYPT}, site.app.clock())

    async def away(*_: object) -> None:
        raise UnavailableError("the database did not answer in time")

    store.replace_password_hash = away
    token, _ = await users.login("Ann", PASSWORD, "")
    assert await users.principal(token) is not None


async def test_a_hash_with_weaker_parameters_is_replaced_at_login(site: Site) -> None:
    ann, users = await added(site), users_of(site)
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    await site.app.store.update_user(ann, {"password": weak}, site.app.clock())
    await users.login("Ann", PASSWORD, "")
    replaced = (await users.get(Scope(), ann)).password
    assert replaced.startswith("$argon2id$v=19$m=32768,t=3,p=1$")


@pytest.mark.both_databases
async def test_a_password_that_was_changed_meanwhile_is_not_replaced(site: Site) -> None:
    ann, store = await added(site), site.app.store
    await store.update_user(ann, {"password": "another"}, site.app.clock())
    await store.replace_password_hash(ann, SCRYPT, "$argon2id$")
    assert (await store.get_user(ann)).password == "another"


@pytest.mark.both_databases
async def test_a_password_that_is_changed_while_it_is_verified_opens_no_session(site: Site) -> None:
    ann, users = await added(site), users_of(site)
    store: Any = site.app.store
    stale: User = await store.get_user(ann)
    await users.set_password(SERVER, ann, "another good password")
    with pytest.raises(NotFoundError, match="no such user with this password"):
        await users.begin(stale)

    async def find_stale(name: str) -> User:
        store.find_user = find_user
        return stale

    find_user, store.find_user = store.find_user, find_stale
    with pytest.raises(RefusedError, match="wrong name or password"):
        await users.login("Ann", PASSWORD, "")
    await users.login("Ann", "another good password", "")


class CountingExecutor(ThreadPoolExecutor):
    """A thread pool that counts its tasks, and how many ran at the same time."""

    def __init__(self) -> None:
        super().__init__(8)
        self.lock = threading.Lock()
        self.count = self.running = self.most = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        def counted() -> Any:
            with self.lock:
                self.count += 1
                self.running += 1
                self.most = max(self.most, self.running)
            try:
                return fn(*args, **kwargs)
            finally:
                with self.lock:
                    self.running -= 1

        return super().submit(counted)


async def test_at_most_two_passwords_are_hashed_at_once_and_off_the_event_loop() -> None:
    executor = CountingExecutor()
    asyncio.get_running_loop().set_default_executor(executor)
    passwords = Passwords()
    asked = [passwords.verify("x", stored) for stored in ("", SCRYPT) * 3]
    assert not any(await asyncio.gather(*asked))
    assert executor.count == 6
    assert executor.most <= 2


async def test_not_everybody_at_once_has_a_password_looked_at() -> None:
    passwords = quick()
    asked = [passwords.verify("x", "") for _ in range(40)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, UnavailableError) for each in answers) == 20
    assert sum(each is False for each in answers) == 20


@pytest.mark.both_databases
async def test_a_key_logs_in_as_far_as_it_reaches(site: Site) -> None:
    await site.account()
    users = users_of(site)
    session, who = await users.login_by_key(OPERATOR)
    assert (who.role, who.scope, who.user_id) == (Role.OWNER, Scope(), None)
    assert who.name == f"key …{OPERATOR[-4:]} (from the settings)"
    assert await users.principal(session) == who
    project = await site.key("project", project="invoice-maker")
    session, who = await users.login_by_key(project.key)
    row = await site.app.store.get_project(Scope(), "invoice-maker")
    assert (who.role, who.scope) == (Role.MEMBER, Scope(project_id=row.id))
    for key in ("htk_nobodys", (await site.key("account", account="acme")).key):
        with pytest.raises(RefusedError, match="not an active operator or project key"):
            await users.login_by_key(key)
    [found] = [
        each for each in (await site.operator.get("/v1/keys")).ok()["items"]
        if each["scope"] == "project"
    ]  # fmt: skip
    (await site.operator.delete(f"/v1/keys/{found['id']}")).ok(204)
    assert await users.principal(session) is None


@pytest.mark.both_databases
async def test_a_session_ends_by_itself_and_a_new_role_holds_at_once(site: Site) -> None:
    now = site.app.clock()
    ann, users = await added(site), users_of(site, lambda: now)
    session, _ = await users.begin(await users.get(Scope(), ann))
    await users.update(SERVER, Scope(), ann, {"role": Role.VIEWER})
    now += SESSION_LIFETIME - DAY
    who = await users.principal(session)
    assert who is not None
    assert not who.may(Role.MEMBER)
    now += DAY
    assert await users.principal(session) is None


@pytest.mark.both_databases
async def test_who_owns_one_project_sees_its_users_alone(site: Site) -> None:
    (await site.operator.apply("invoice-maker")).ok()
    users, wide = users_of(site), await added(site)
    row = await site.app.store.get_project(Scope(), "invoice-maker")
    narrow = Scope(project_id=row.id)
    bob = await users.create(SERVER, narrow, "bob", Role.VIEWER, None)
    assert bob.project_id == row.id
    assert [each.name for each in await users.everybody(narrow)] == ["bob"]
    assert await users.everybody(Scope(account_id=1)) == []
    for refused in (
        users.get(narrow, wide),
        users.update(SERVER, narrow, wide, {"role": Role.VIEWER}),
        users.delete(SERVER, narrow, wide),
        users.make_link(SERVER, narrow, wide),
        users.create(SERVER, Scope(project_id=1), "eve", Role.OWNER, "invoice-maker"),
    ):
        with pytest.raises(NotFoundError):
            await refused
    moved = await users.update(SERVER, narrow, bob.id, {"project": None})
    assert moved.project_id == row.id


@pytest.mark.both_databases
async def test_a_token_is_stored_nowhere(site: Site, operator: Client) -> None:
    users = users_of(site)
    ann = await added(site)
    link = await users.make_link(SERVER, Scope(), ann)
    assert link.url not in repr(link)
    session, who = await users.login_by_link(link.url.rpartition("/")[2])
    assert session.encode() not in who.digest
    assert repr(who).find("digest") == -1
