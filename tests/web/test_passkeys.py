"""Passkeys in a real Chromium, with its virtual authenticator: created, used alone and with a password, lost."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from provider import free_port
from server import PASSWORD, Server

Shot = Callable[[Page, str], None]


class Person:
    """A user at a browser, with an authenticator that always recognises them."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.page = context.new_page()
        self.devtools: CDPSession = context.new_cdp_session(self.page)
        self.devtools.send("WebAuthn.enable")
        self.authenticator = self.add_authenticator()

    def add_authenticator(self) -> str:
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        return self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def credentials(self) -> list[dict[str, object]]:
        found = self.devtools.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        return found["credentials"]

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def enter_password(self, name: str = "anna", password: str = PASSWORD) -> None:
        self.go("/sign-in")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def use_passkey(self) -> None:
        self.go("/sign-in")
        self.page.get_by_role("button", name="Sign in with a passkey").click()

    def add_passkey(self, name: str = "Laptop") -> None:
        self.go("/settings/sign-in")
        self.page.get_by_label("Name of the new passkey").fill(name)
        self.page.locator("form[data-passkey] input[name=current]").fill(PASSWORD)
        self.page.get_by_role("button", name="Add a passkey").click()
        expect(self.page.get_by_text("The passkey has been added.")).to_be_visible()

    def ask_for_both(self) -> list[str]:
        """Turn on the second factor, and return the recovery codes."""
        self.go("/settings/sign-in")
        form = self.page.locator("form[action$='/settings/sign-in/factors']")
        form.locator("input[name=current]").fill(PASSWORD)
        form.get_by_role("button").click()
        expect(self.page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
        return self.page.locator(".codes code").all_inner_texts()

    def sign_out(self) -> None:
        self.page.context.clear_cookies()

    def is_in(self) -> bool:
        self.page.wait_for_url(re.compile(r"localhost:\d+/($|\?)"))
        return self.page.locator(".who").inner_text() == "anna"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server reached as localhost: passkeys require a host name, not an IP address."""
    folder = tmp_path_factory.mktemp("passkeys")
    port = free_port()
    server = Server(folder / "installation", more=["--port", str(port)])
    server.environment = {"PLAYHEAD_PUBLIC_URL": f"http://localhost:{port}"}
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def root(address: Server) -> str:
    """The token of an admin."""
    return address.add_user("root")


@pytest.fixture
def anna(address: Server, root: str, browser: Browser) -> Iterator[Person]:
    """Anna, with a new account in each test."""
    with address.client(root) as admin:
        account = {"username": "anna", "password": PASSWORD, "role": "member"}
        made = admin.post("/api/v1/users", json=account).raise_for_status().json()
        context = browser.new_context()
        yield Person(context, f"http://localhost:{address.url.rpartition(':')[2]}")
        context.close()
        admin.delete(f"/api/v1/users/{made['id']}").raise_for_status()


def test_a_passkey_signs_in_alone_without_name_and_password(anna: Person, shot: Shot):
    anna.enter_password()
    assert anna.is_in()
    anna.add_passkey("My laptop")
    shot(anna.page, "settings-sign-in-1280")
    anna.page.set_viewport_size({"width": 390, "height": 844})
    shot(anna.page, "settings-sign-in-390")
    (made,) = anna.credentials()
    assert made["isResidentCredential"]
    assert made["rpId"] == "localhost"
    anna.sign_out()
    anna.go("/sign-in")
    shot(anna.page, "sign-in-passkey-390")
    anna.use_passkey()
    assert anna.is_in()
    (used,) = anna.credentials()
    assert used["signCount"] > made["signCount"]
    anna.go("/settings/sign-in")
    expect(anna.page.get_by_text("last used today")).to_be_visible()
    assert anna.page.get_by_label("Name", exact=True).input_value() == "My laptop"


def test_a_passkey_that_is_removed_here_signs_nobody_in(anna: Person):
    anna.enter_password()
    anna.add_passkey()
    anna.page.get_by_label("Name", exact=True).fill("Renamed")
    anna.page.get_by_role("button", name="Rename Laptop").click()
    expect(anna.page.get_by_text("The passkey has been renamed.")).to_be_visible()
    anna.page.get_by_role("button", name="Remove Renamed").click()
    expect(anna.page.get_by_text("The passkey has been removed.")).to_be_visible()
    anna.sign_out()
    anna.use_passkey()
    expect(anna.page.get_by_text("This passkey is not known here, or the sign-in took too long.")).to_be_visible()


def test_a_copied_authenticator_is_noticed_by_its_count(anna: Person):
    anna.enter_password()
    anna.add_passkey()
    (copy,) = anna.credentials()
    anna.sign_out()
    anna.use_passkey()
    assert anna.is_in()
    anna.sign_out()
    anna.devtools.send("WebAuthn.clearCredentials", {"authenticatorId": anna.authenticator})
    anna.devtools.send("WebAuthn.addCredential", {"authenticatorId": anna.authenticator, "credential": copy})
    anna.use_passkey()
    expect(anna.page.get_by_text("This passkey is not known here")).to_be_visible()


def test_a_passkey_without_user_verification_does_not_sign_in(anna: Person):
    anna.enter_password()
    anna.add_passkey()
    anna.sign_out()
    anna.devtools.send("WebAuthn.setUserVerified", {"authenticatorId": anna.authenticator, "isUserVerified": False})
    anna.use_passkey()
    expect(anna.page.get_by_text("Nothing was chosen, or it took too long.")).to_be_visible()


def test_a_new_passkey_requires_the_password_and_is_not_created_twice_on_one_device(anna: Person):
    anna.enter_password()
    anna.go("/settings/sign-in")
    anna.page.get_by_label("Name of the new passkey").fill("Laptop")
    anna.page.locator("form[data-passkey] input[name=current]").fill("wrong horse")
    anna.page.get_by_role("button", name="Add a passkey").click()
    expect(anna.page.get_by_text("The current password is wrong.")).to_be_visible()
    assert anna.credentials() == []
    anna.add_passkey()
    anna.page.get_by_label("Name of the new passkey").fill("Again")
    anna.page.locator("form[data-passkey] input[name=current]").fill(PASSWORD)
    anna.page.get_by_role("button", name="Add a passkey").click()
    expect(anna.page.get_by_text("This device already has a passkey for your account.")).to_be_visible()


def test_password_and_passkey_together_in_either_order(anna: Person, shot: Shot):
    anna.enter_password()
    anna.add_passkey()
    codes = anna.ask_for_both()
    shot(anna.page, "recovery-codes")
    assert len(set(codes)) == 10
    anna.sign_out()
    anna.enter_password()
    expect(anna.page.get_by_role("heading", name="One more step")).to_be_visible()
    shot(anna.page, "second-step")
    anna.page.get_by_role("button", name="Use a passkey").click()
    assert anna.is_in()
    anna.sign_out()
    anna.use_passkey()
    expect(anna.page.get_by_role("heading", name="Now your password")).to_be_visible()
    anna.page.get_by_label("Password", exact=True).fill("wrong horse")
    anna.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(anna.page.get_by_text("That was wrong or took too long.")).to_be_visible()
    anna.page.get_by_label("Password", exact=True).fill(PASSWORD)
    anna.page.get_by_role("button", name="Sign in", exact=True).click()
    assert anna.is_in()


def test_a_recovery_code_replaces_the_passkey_once(anna: Person, address: Server):
    anna.enter_password()
    anna.add_passkey()
    first, second = anna.ask_for_both()[:2]
    anna.sign_out()

    def enter(code: str) -> None:
        anna.enter_password()
        anna.page.get_by_label("Or a recovery code").fill(code)
        anna.page.get_by_role("button", name="Sign in with the code").click()

    enter(first.upper().replace("-", " "))
    assert anna.is_in()
    anna.sign_out()
    enter(first)
    expect(anna.page.get_by_text("That was wrong or took too long.")).to_be_visible()
    anna.page.get_by_label("Or a recovery code").fill(second)
    anna.page.get_by_role("button", name="Sign in with the code").click()
    assert anna.is_in()
    anna.go("/settings/sign-in")
    expect(anna.page.get_by_text("You have 8 recovery codes left.")).to_be_visible()
    hashes = [row[0] for row in address.query("SELECT hash FROM recovery_code")]
    assert all(len(each) == 64 for each in hashes)


def test_the_last_passkey_cannot_be_removed_while_it_is_required(anna: Person):
    anna.enter_password()
    anna.add_passkey()
    anna.ask_for_both()
    anna.go("/settings/sign-in")
    anna.page.get_by_role("button", name="Remove Laptop").click()
    expect(anna.page.get_by_text("Password and passkey are both needed; turn that off first.")).to_be_visible()
    one = anna.page.locator("form:has(input[value=one])")
    one.locator("input[name=current]").fill(PASSWORD)
    one.get_by_role("button").click()
    expect(anna.page.get_by_text("From now on, a passkey or the password is enough to sign in.")).to_be_visible()
    anna.page.get_by_role("button", name="Remove Laptop").click()
    expect(anna.page.get_by_text("The passkey has been removed.")).to_be_visible()


def test_an_app_is_told_what_is_missing_and_signs_in_with_a_recovery_code(anna: Person, address: Server):
    anna.enter_password()
    anna.add_passkey()
    code = anna.ask_for_both()[0]
    body = {"username": "anna", "password": PASSWORD}
    sessions = f"{address.url}/api/v1/sessions"
    refused = httpx.post(sessions, json=body)
    assert (refused.status_code, refused.json()["type"]) == (401, "urn:playhead:error:second-factor-needed")
    assert list(refused.json()["details"]) == ["code"]
    assert httpx.post(sessions, json=body | {"password": "wrong horse"}).json()["error"] == "Not authenticated"
    assert httpx.post(sessions, json=body | {"code": "abcd-efgh"}).json()["error"] == "Not authenticated"
    assert httpx.post(sessions, json=body | {"code": code}).status_code == 201
    assert httpx.post(sessions, json=body | {"code": code}).json()["error"] == "Not authenticated"


def test_guesses_at_codes_are_limited_like_guesses_at_passwords(anna: Person, address: Server):
    anna.enter_password()
    anna.add_passkey()
    code = anna.ask_for_both()[0]
    body = {"username": "anna", "password": PASSWORD}
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9")) as stranger:
        sessions = f"{address.url}/api/v1/sessions"
        statuses = [stranger.post(sessions, json=body | {"code": f"guess{number}"}).status_code for number in range(10)]
        assert statuses == [401] * 10
        assert stranger.post(sessions, json=body | {"code": code}).status_code == 429


def test_an_admin_removes_lost_passkeys_of_a_user(anna: Person, address: Server, browser: Browser):
    anna.enter_password()
    anna.add_passkey()
    anna.ask_for_both()
    anna.sign_out()
    context = browser.new_context()
    admin = Person(context, anna.url)
    admin.enter_password("root")
    admin.go("/admin/users")
    admin.page.get_by_role("link", name="anna", exact=True).click()
    admin.page.get_by_role("button", name="Remove all passkeys").click()
    expect(admin.page.get_by_text("All passkeys and recovery codes of the user have been removed.")).to_be_visible()
    context.close()
    anna.enter_password()
    assert anna.is_in()
    assert address.query("SELECT count(*) FROM recovery_code") == [(0,)]
