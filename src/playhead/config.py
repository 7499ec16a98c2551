"""Settings: flags > environment > TOML file > defaults; an unknown key is an error. Read only by cli and bootstrap."""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

ENVIRONMENT_PREFIX = "PLAYHEAD_"

# Read before any setting: it names the file that contains the others.
CONFIG_VARIABLE = "PLAYHEAD_CONFIG"


# A field name of HTTP (RFC 9110, 5.1) without the characters that proxies rewrite or drop.
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]*$", max_length=100)]

WebAddress = Annotated[str, Field(pattern=r"^(https?://[^\s/?#]+[^\s]*)?$", max_length=2000)]

# As browsers send it: lower case, without a path and without the port that the scheme implies. Not `null`, which is the
# origin of every sandboxed page.
Origin = Annotated[
    str,
    Field(
        pattern=r"^(\*|[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)$",
        max_length=300,
    ),
]


def default_data_folder() -> Path:
    """Return the default data folder, by the XDG Base Directory Specification."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "playhead"


class Settings(BaseSettings):
    """Every setting of an installation. A field's description is its documentation; see docs/settings.md."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8765, description="Port to listen on; 0 takes a free one, which is printed."
    )
    data: Path = Field(
        default_factory=default_data_folder, description="Folder for everything that the installation writes."
    )
    database: str = Field(
        default="",
        description="`sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`; when empty, `playhead.db` in the data "
        "folder.",
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="Processes that serve the port; more than one only on PostgreSQL."
    )
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field(
        default="info", description="What is logged: `debug`, `info`, `warning` or `error`."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of proxies whose `X-Forwarded-*` headers count; separated by commas. "
        "None by default.",
    )
    read_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=10.0,
        description="How long the database may take for one page or list before the request is refused with 503.",
    )
    connections_per_address: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=2_500,
        description="How many connections one client address may have, an IPv6 /64 network counting as one; and how "
        "many requests a client of a trusted proxy may have in progress. Trusted proxies themselves have no bound.",
    )
    base_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = Field(
        default="",
        description="Path under which a proxy serves Playhead, such as `/playhead`; whether or not the proxy strips it "
        "from requests.",
    )
    allowed_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        default=(),
        description="Origins of other sites whose pages may use the API with a token, such as "
        "`https://player.example.org`; separated by commas. `*` allows all. None by default.",
    )

    remote_user_header: HeaderName = Field(
        default="",
        description="Header in which a trusted proxy names the user who is signed in with it, such as `Remote-User`. "
        "When empty, no header is trusted.",
    )
    remote_groups_header: HeaderName = Field(
        default="Remote-Groups", description="Header in which it lists the user's groups."
    )
    remote_sign_out_url: WebAddress = Field(
        default="", description="Where signing out of Playhead leads, so that one signs out of the proxy's service too."
    )
    public_url: WebAddress = Field(
        default="", description="Address under which people reach Playhead, such as `https://play.example.org`."
    )
    oidc_issuer: WebAddress = Field(
        default="", description="Issuer of the OpenID provider at which people sign in; when empty, there is none."
    )
    oidc_client_id: str = Field(default="", max_length=500, description="Client id that the provider gave Playhead.")
    oidc_client_secret: SecretStr = Field(
        default_factory=lambda: SecretStr(""),
        description="Client secret that the provider gave Playhead; empty for a public client.",
    )
    oidc_client_secret_file: Path | None = Field(
        default=None, description="File with the client secret, instead of the setting."
    )
    oidc_scopes: Annotated[str, Field(pattern=r"^openid( [!#-\[\]-~]+)*$")] = Field(
        default="openid profile", description="Scopes that are asked for, `openid` first, separated by spaces."
    )
    oidc_name_claim: str = Field(
        default="preferred_username", min_length=1, description="Claim with the user name of a new account."
    )
    oidc_groups_claim: str = Field(
        default="groups", min_length=1, description="Claim that lists the groups of a person."
    )
    oidc_name: str = Field(
        default="your identity provider", min_length=1, max_length=60, description="What pages call the provider."
    )
    local_sign_in: Annotated[str, Field(pattern="^(everybody|admins)$")] = Field(
        default="everybody", description="Who may sign in without the provider: `everybody` or `admins`."
    )
    create_accounts: bool = Field(
        default=False, description="Whether an account is created for external users who have none."
    )
    admin_groups: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Groups whose members are admins; when set, no other external user is one."
    )
    member_groups: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Groups whose members may sign in; when empty, everybody may."
    )
    library_groups: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Which libraries, by name, the members of a group see."
    )

    rescan_minutes: Annotated[int, Field(ge=0, le=10_080)] = Field(
        default=15,
        description="Minutes between two scans of a library whose file system does not report changes, as on network "
        "mounts; 0 scans none by time.",
    )

    backup_hours: Annotated[int, Field(ge=0, le=8760)] = Field(
        default=24, description="Hours between two backups that the server makes of its SQLite database; 0 makes none."
    )
    backup_keep: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=7, description="How many of these backups are kept; the oldest are removed first."
    )
    backup_folder: Path = Field(
        default=Path("backups"),
        description="Folder of these backups; a relative path starts in the data folder. Any other folder must exist.",
    )

    @field_validator("trusted_proxies", "allowed_origins", "admin_groups", "member_groups", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("allowed_origins")
    @classmethod
    def _are_as_browsers_send_them(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            scheme, _, rest = origin.partition("://")
            if rest.endswith({"https": ":443", "http": ":80"}.get(scheme, "://")):
                raise ValueError(f"{origin} must not name the port that its scheme implies: browsers leave it out")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            ip_network(address, strict=False)
        return value

    @model_validator(mode="after")
    def _believe_only_proxies(self) -> Self:
        if self.remote_user_header and not self.trusted_proxies:
            raise ValueError("remote_user_header needs trusted_proxies: from anybody else the header is a claim")
        return self

    @model_validator(mode="after")
    def _know_the_provider(self) -> Self:
        if self.oidc_issuer:
            missing = [name for name in ("oidc_client_id", "public_url") if not getattr(self, name)]
            if missing:
                raise ValueError(f"oidc_issuer needs {' and '.join(missing)}")
        if self.oidc_client_secret_file is not None and self.oidc_client_secret.get_secret_value():
            raise ValueError("oidc_client_secret and oidc_client_secret_file cannot both be given")
        if self.public_url and urlsplit(self.public_url).path.rstrip("/") != self.base_path:
            raise ValueError("public_url must end in base_path")
        return self

    def read_oidc_secret(self) -> str:
        """Return the client secret. Raises OSError where its file cannot be read."""
        if self.oidc_client_secret_file is None:
            return self.oidc_client_secret.get_secret_value()
        return self.oidc_client_secret_file.read_text("utf-8").strip()

    @field_validator("database")
    @classmethod
    def _is_supported(cls, value: str) -> str:
        engine, _, rest = value.partition("://")
        if value and (engine not in {"sqlite", "postgresql"} or rest in {"", "/"}):
            raise ValueError(
                "must be a URL such as sqlite:////var/lib/playhead/playhead.db or postgresql://playhead@localhost/playhead"
            )
        if engine == "sqlite" and not rest.startswith("/"):
            raise ValueError("must have three slashes before the path: sqlite:///playhead.db or sqlite:////var/lib/…")
        return value

    @property
    def database_url(self) -> str | None:
        """Return the URL of a PostgreSQL database, or None where the database is an SQLite file."""
        return self.database if self.database.startswith("postgresql://") else None

    @property
    def database_path(self) -> Path:
        """Return the SQLite file. Raises ValueError for a PostgreSQL database."""
        if self.database_url is not None:
            raise ValueError("the database is not a file")
        if self.database:
            return Path(self.database.removeprefix("sqlite:///")).absolute()
        return self.data.absolute() / "playhead.db"

    @property
    def backup_path(self) -> Path:
        """Return the folder of backups."""
        return self.data.absolute() / self.backup_folder

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the TOML file that PLAYHEAD_CONFIG names below the environment."""
        del dotenv_settings, file_secret_settings
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        file = os.environ.get(CONFIG_VARIABLE)
        if file:
            sources.append(TomlConfigSettingsSource(settings_cls, Path(file)))
        return tuple(sources)


class SettingsError(ValueError):
    """A setting that is unknown or wrong, or a settings file that cannot be read; the message is for people."""


def load_settings(**flags: Any) -> Settings:  # noqa: ANN401 - pydantic checks them
    """Read the settings; flags that are None were not given.

    Raises SettingsError with all faults.
    """
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE}
    unknown = sorted(name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"unknown setting {unknown[0]}; there are {', '.join(sorted(known))}")
    file = os.environ.get(CONFIG_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG_VARIABLE} names {file}, which is not a file")
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        faults = [": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in error.errors()]
        raise SettingsError("; ".join(faults)) from None
    except ValueError as error:  # of a file that is not TOML
        raise SettingsError(f"{file}: {error}") from None
