"""The services of an installation as one object. `bootstrap` builds it and passes it to the interfaces."""

from dataclasses import dataclass

from playhead.services.accounts import Accounts
from playhead.services.artwork import Artwork
from playhead.services.auditing import Audit
from playhead.services.auto_scanning import AutoScans
from playhead.services.backups import Backups
from playhead.services.browsing import Browsing
from playhead.services.catalogue import Catalogue
from playhead.services.correcting import Correcting
from playhead.services.credentials import Credentials
from playhead.services.device_codes import DeviceCodes
from playhead.services.events import Events
from playhead.services.history import History
from playhead.services.household import Household
from playhead.services.identity import Identities, ProxyIdentities
from playhead.services.importing import Importer
from playhead.services.libraries import Libraries
from playhead.services.lists import Lists
from playhead.services.marks import Marks
from playhead.services.merging import Merging
from playhead.services.openid import OpenID
from playhead.services.passkeys import Passkeys
from playhead.services.playback import Playback
from playhead.services.scanning import Scanner
from playhead.services.sign_ins import SignIns
from playhead.services.snapshots import Snapshots
from playhead.services.splitting import Splitting
from playhead.services.statistics import Statistics
from playhead.services.subtitles import Subtitles


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of one database.

    `openid` is None without a provider, `backups` on PostgreSQL, which has its own tools.
    """

    credentials: Credentials
    sign_ins: SignIns
    accounts: Accounts
    identities: Identities
    proxy_identities: ProxyIdentities
    device_codes: DeviceCodes
    openid: OpenID | None
    household: Household
    passkeys: Passkeys
    catalogue: Catalogue
    artwork: Artwork
    subtitles: Subtitles
    scanner: Scanner
    auto_scans: AutoScans
    importer: Importer
    merging: Merging
    splitting: Splitting
    correcting: Correcting
    libraries: Libraries
    audit: Audit
    playback: Playback
    history: History
    marks: Marks
    lists: Lists
    statistics: Statistics
    browsing: Browsing
    snapshots: Snapshots
    events: Events
    backups: Backups | None
