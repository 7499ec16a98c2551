"""Settings: their sources, their precedence, and what is rejected."""

from pathlib import Path

import pytest

from playhead.config import SettingsError, load_settings


@pytest.fixture(autouse=True)
def only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore the settings of the developer who runs the tests."""
    for name in ("CONFIG", "HOST", "PORT", "DATA", "DATABASE", "LOG_LEVEL", "TRUSTED_PROXIES"):
        monkeypatch.delenv(f"PLAYHEAD_{name}", raising=False)


def test_precedence_is_flags_environment_file_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "playhead.toml"
    file.write_text('host = "127.0.0.2"\nport = 1002\nlog_level = "error"\n')
    monkeypatch.setenv("PLAYHEAD_CONFIG", str(file))
    monkeypatch.setenv("PLAYHEAD_PORT", "1001")
    settings = load_settings(port=None, data=tmp_path)
    assert (settings.host, settings.port, settings.log_level) == ("127.0.0.2", 1001, "error")
    assert load_settings(port=1000).port == 1000
    assert settings.database_path == tmp_path / "playhead.db"


def test_the_database_can_be_elsewhere(tmp_path: Path):
    settings = load_settings(database=f"sqlite:///{tmp_path}/other.db")
    assert settings.database_path == tmp_path / "other.db"


def test_proxies_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PLAYHEAD_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")
    assert load_settings().trusted_proxies == ("127.0.0.1", "10.0.0.0/8")


def test_allowed_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PLAYHEAD_ALLOWED_ORIGINS", "https://player.example.org, app://local,http://[::1]:8080,*")
    wanted = ("https://player.example.org", "app://local", "http://[::1]:8080", "*")
    assert load_settings().allowed_origins == wanted


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "eighty", "port: "),
        ("PORT", "70000", "port: "),
        ("LOG_LEVEL", "loud", "log_level: "),
        ("DATABASE", "mysql://there", "database: "),
        ("DATABASE", "postgresql://", "postgresql://"),
        ("TRUSTED_PROXIES", "somewhere", "trusted_proxies: "),
        ("ALLOWED_ORIGINS", "https://player.example.org/", "allowed_origins"),
        ("ALLOWED_ORIGINS", "https://Player.example.org", "allowed_origins"),
        ("ALLOWED_ORIGINS", "player.example.org", "allowed_origins"),
        ("ALLOWED_ORIGINS", "null", "allowed_origins"),
        ("ALLOWED_ORIGINS", "https://player.example.org:443", "the port that its scheme implies"),
        ("ALLOWED_ORIGINS", "http://[::1]:80", "the port that its scheme implies"),
        ("PROT", "80", "unknown setting PLAYHEAD_PROT"),
        ("CONFIG", "/nowhere.toml", "/nowhere.toml"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(f"PLAYHEAD_{name}", value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"), [("prot = 80", "prot: "), ("port = ", "playhead.toml"), ("port = 'x'", "port: ")]
)
def test_a_faulty_file_is_named(text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "playhead.toml"
    file.write_text(text)
    monkeypatch.setenv("PLAYHEAD_CONFIG", str(file))
    with pytest.raises(SettingsError, match=words):
        load_settings()


def test_an_identity_header_requires_trusted_proxies():
    with pytest.raises(SettingsError, match="remote_user_header needs trusted_proxies"):
        load_settings(remote_user_header="Remote-User")
    assert load_settings(remote_user_header="Remote-User", trusted_proxies="10.0.0.1").remote_user_header


def test_groups_are_separated_by_commas_and_libraries_are_json(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PLAYHEAD_ADMIN_GROUPS", "root, wheel")
    monkeypatch.setenv("PLAYHEAD_LIBRARY_GROUPS", '{"family": ["Films", "Shows"]}')
    settings = load_settings()
    assert settings.admin_groups == ("root", "wheel")
    assert settings.library_groups == {"family": ("Films", "Shows")}
