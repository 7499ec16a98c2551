import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.accounts import name_faults
from playhead.domain.devices import device_name

AGENTS = {
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36": (
        "Chrome on Linux"
    ),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 "
    "Edg/131.0.0.0": "Edge on Windows",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0": "Firefox on Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 "
    "Safari/605.1.15": "Safari on macOS",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 "
    "Mobile/15E148 Safari/604.1": "Safari on iPhone",
    "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 "
    "Mobile/15E148 Safari/604.1": "Chrome on iPad",
    "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 "
    "Chrome/122.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
    "Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) 94.0.4606.31/7.0 TV "
    "Safari/537.36": "A browser on TV",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 "
    "OPR/116.0.0.0": "Opera on ChromeOS",
    "Mozilla/5.0 (compatible)": "",
    "curl/8.5.0": "curl",
    "mpv 0.38.0": "mpv",
    "python-httpx/0.28.1": "python-httpx",
    "VLC media player/3.0.20 LibVLC/3.0.20": "VLC media player",
    "": "",
    "/1.0": "",
}


@pytest.mark.parametrize("agent", AGENTS)
def test_a_device_is_named_in_plain_words(agent: str):
    assert device_name(agent) == AGENTS[agent]


@given(st.text())
def test_any_user_agent_yields_a_storable_name_or_none(agent: str):
    name = device_name(agent)
    assert name == "" or name_faults(name) == []
