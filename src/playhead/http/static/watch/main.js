// Builds the player of a page, and tears it down when the next episode replaces it.
import { base } from "../page.js";
import { Controls } from "./controls.js";
import { followOthers } from "./elsewhere.js";
import { Film } from "./film.js";
import { listenToKeys } from "./keys.js";
import { joinMediaSession } from "./mediasession.js";
import { Menu } from "./menu.js";
import { Next } from "./next.js";
import { Notices } from "./notices.js";
import { Reporter, newSession } from "./reporting.js";
import { Sender } from "./sending.js";
import { Tracks } from "./tracks.js";
import { Versions } from "./versions.js";
import { gettext, ngettext } from "../words.js";

const SAID_MS = 8000;

function build() {
  const ending = new AbortController();
  const { signal } = ending;
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("watch").textContent);
  const about = { kind: data.kind, id: data.id, session_id: newSession() };
  const player = find("player");
  const video = find("video");

  const film = new Film(video, (file) => `${base}/api/v1/stream/file/${file}`, signal);
  const notices = new Notices(find("notices"), find("said"), signal);
  const sender = new Sender(signal);
  const reporter = new Reporter(film, sender, about, signal);
  const controls = new Controls({ film, video, player, find, signal });
  const tracks = new Tracks({ film, video, find, signal });
  const menu = new Menu({ film, video, find, signal });
  const next = new Next({ film, find, go: (address) => goOn(address, { ending, reporter, notices }), signal });
  find("subtitles").addEventListener("click", () => tracks.toggle(), { signal });
  listenToKeys({ film, controls, tracks, menu, next, find, signal });
  followOthers({ film, notices, reporter, about, signal });
  joinMediaSession({ film, video, data, controls, next, signal });
  sender.addEventListener("change", () => showConnection(find("connection"), sender, notices), { signal });
  sender.flush();

  new Versions({ film, video, data, notices, find, signal }).begin();
}

function showConnection(line, sender, notices) {
  const { state, waiting } = sender;
  const kept = ngettext("Offline · %(num)s position kept", "Offline · %(num)s positions kept", waiting);
  line.textContent = state === "offline" ? kept : "";
  if (state === line.dataset.state) return;
  line.dataset.state = state;
  notices.hide("signed-out");
  if (state !== "signed-out") return;
  const here = encodeURIComponent(location.pathname.slice(base.length));
  const text = gettext("You are signed out. This browser keeps your position until you sign in again.");
  notices.show("signed-out", text, { choices: [[gettext("Sign in"), `${base}/sign-in?next=${here}`]] });
}

// Replace this player by that of another page: full screen, sound and live changes continue.
async function goOn(address, { ending, reporter, notices }) {
  let page;
  try {
    const answer = await fetch(address, { headers: { accept: "text/html" }, cache: "no-store" });
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    notices.show("next", gettext("The next episode cannot be reached right now."), { forMs: SAID_MS });
    return;
  }
  const fresh = page.getElementById("player");
  if (!fresh) {
    location.assign(address); // that page says why there is no player
    return;
  }
  reporter.leave();
  ending.abort();
  document.getElementById("player").replaceWith(document.adoptNode(fresh));
  document.title = page.title;
  history.pushState(null, "", address);
  build();
}

addEventListener("popstate", () => location.reload());
build();
