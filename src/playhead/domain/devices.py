"""Display names of devices, derived from the User-Agent header."""

import re

from playhead.domain.accounts import NAME_LENGTH_MAX, clean_name, name_faults

# Programs impersonate others, so the order matters: Edge also says Chrome, and Chrome says Safari.
_BROWSERS = (
    (re.compile(r"\bEdg(?:e|A|iOS)?/"), "Edge"),
    (re.compile(r"\b(?:OPR|Opera|OPT)/"), "Opera"),
    (re.compile(r"\bSamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"\bVivaldi/"), "Vivaldi"),
    (re.compile(r"\b(?:Firefox|FxiOS)/"), "Firefox"),
    (re.compile(r"\b(?:Chrome|Chromium|CriOS|HeadlessChrome)/"), "Chrome"),
    (re.compile(r"\bVersion/\S+ .*\bSafari/"), "Safari"),
)
# Televisions also say Android or Linux, and Android says Linux.
_SYSTEMS = (
    (re.compile(r"\biPhone\b"), "iPhone"),
    (re.compile(r"\biPad\b"), "iPad"),
    (re.compile(r"\bTizen\b|\bWeb0S\b|\bwebOS\b|\bSMART-TV\b|\bAndroid TV\b|\bGoogleTV\b|\bAFT[A-Z]|\bBRAVIA\b"), "TV"),
    (re.compile(r"\bAndroid\b"), "Android"),
    (re.compile(r"\bCrOS\b"), "ChromeOS"),
    (re.compile(r"\bWindows\b"), "Windows"),
    (re.compile(r"\bMacintosh\b|\bMac OS X\b"), "macOS"),
    (re.compile(r"\bLinux\b|\bX11\b"), "Linux"),
)
_PROGRAM = re.compile(r"[A-Za-z][\w.+-]*(?: [A-Za-z][\w.+-]*)*(?=[/ ]|$)")


def device_name(user_agent: str) -> str:
    """Name a device by its User-Agent header (RFC 9110, 10.1.5): "Chrome on Linux", "Safari on iPhone", "mpv".

    A program other than a browser has its own name, without its version. "" if nothing is recognised.
    """
    browser = next((name for pattern, name in _BROWSERS if pattern.search(user_agent)), None)
    system = next((name for pattern, name in _SYSTEMS if pattern.search(user_agent)), None)
    if browser is not None:
        return browser if system is None else f"{browser} on {system}"
    program = _PROGRAM.match(user_agent)
    if program is None or program[0] == "Mozilla":
        return "" if system is None else f"A browser on {system}"
    name = clean_name(program[0][:NAME_LENGTH_MAX])
    return "" if name_faults(name) else name
