// The versions of a film: which of them this browser plays, switching at the same position, and what cannot be played.
import { base } from "../page.js";
import { clock } from "./text.js";
import { gettext } from "../words.js";

const PLAYS = "plays";
const SILENT = "silent";
const FAILS = "fails";

const RESUMED_MS = 8000;
const CHOICE_MS = 60_000; // time to see which scene it is
const SAME_LENGTH = 0.02; // as in the server's rules: encodes of one cut differ by no more

const alternatives = new Intl.ListFormat(document.documentElement.lang || "en", { type: "disjunction" });

const SAID = { [PLAYS]: "", [SILENT]: gettext(", no sound in this browser"), [FAILS]: gettext(", not in this browser") };

// As far as a browser knows beforehand: it plays all of a version, only its picture, or nothing.
export function verdict(version, video) {
  const can = (type) => type === null || video.canPlayType(type) !== "";
  if (!version.parts.every((part) => can(part.picture))) return FAILS;
  return version.parts.every((part) => can(part.sound)) ? PLAYS : SILENT;
}

// The length of a version in seconds; null if it is unknown.
function lengthOf(version) {
  return version.parts.reduce((sum, { seconds }) => (sum === null || seconds === null ? null : sum + seconds), 0);
}

// Whether a version is another cut than one of this length.
function differs(version, length) {
  const own = lengthOf(version);
  return own !== null && length > 0 && Math.abs(own - length) > SAME_LENGTH * Math.max(own, length);
}

// Whether a version counts as watched at a position.
function isFinished(version, position) {
  return version.completed !== null && position >= version.completed;
}

export class Versions {
  #film;
  #notices;
  #versions;
  #verdicts;
  #find;
  #signal;
  #retry = 0;
  #retryMs = 1000;
  #left;
  current;

  constructor({ film, video, data, notices, find, signal }) {
    this.#film = film;
    this.#notices = notices;
    this.#versions = data.versions;
    this.#left = data.left;
    this.#verdicts = data.versions.map((version) => verdict(version, video));
    this.#find = find;
    this.#signal = signal;
    // Unless a file was chosen, the server's default gives way to a version that this browser claims to play.
    const isGood = data.explicit || this.#verdicts[data.chosen] === PLAYS;
    this.current = isGood ? data.chosen : this.#best(data.chosen);
    film.addEventListener("fault", ({ detail }) => this.#explain(detail), { signal });
    film.addEventListener("ready", () => {
      this.#retryMs = 1000;
      find("fault").hidden = true;
    }, { signal });
    addEventListener("online", () => this.#retry && this.#again(), { signal });
    signal.addEventListener("abort", () => clearTimeout(this.#retry));
    this.#list();
  }

  // The first version that this browser plays at all, best with sound, and best of the same length as the default one.
  #best(chosen) {
    const length = lengthOf(this.#versions[chosen]) ?? 0;
    const found = [PLAYS, SILENT].flatMap((wanted) => {
      const numbers = [...this.#versions.keys()].filter((number) => this.#verdicts[number] === wanted);
      return [...numbers.filter((number) => !differs(this.#versions[number], length)), ...numbers];
    });
    return found[0] ?? chosen;
  }

  // Start with the current version.
  begin() {
    const version = this.#versions[this.current];
    if (this.#verdicts[this.current] === FAILS) {
      this.#film.hold(version, version.start);
      this.#refuse();
    } else {
      this.#film.load(version, version.start, true);
      this.#warn();
    }
    if (this.#left) this.#sayResumed(version, version.start, this.#left);
  }

  // Continue with another version: at the same position, or where one may start that would be finished there.
  choose(number, play = !this.#film.paused) {
    this.#find("fault").hidden = true;
    this.current = number;
    this.#radios()[number].checked = true;
    const before = this.#film.version;
    const version = this.#versions[number];
    const resumes = this.#film.isHeld && this.#left !== null;
    const left = resumes ? this.#left : { position: this.#film.position, of: this.#film.duration };
    const isOther = differs(version, left.of);
    const finishes = !isFinished(before, left.position) && isFinished(version, left.position);
    const moved = isOther || finishes ? Math.min(left.position, version.latest) : left.position;
    const start = resumes ? version.start : moved;
    this.#film.load(version, start, play);
    this.#warn();
    this.#notices.hide("resumed");
    if (isOther && left.position > 0) this.#sayResumed(version, start, left);
  }

  // `left` is where the film was, and how long it was there. A position in another cut is another scene.
  #sayResumed(version, start, left) {
    const choices = [[gettext("Start from the beginning"), () => this.#film.seek(0)]];
    const isOther = differs(version, left.of);
    if (isOther) {
      const share = Math.min((left.position / left.of) * lengthOf(version), version.latest);
      const choice = [gettext("At the same share, %(position)s", { position: clock(share) }), () => this.#film.seek(share)];
      if (clock(share) !== clock(start)) choices.unshift(choice);
    }
    const text = gettext("Resumed at %(position)s", { position: clock(start) });
    this.#notices.show("resumed", text, { choices, forMs: isOther ? CHOICE_MS : RESUMED_MS });
  }

  #radios() {
    return [...this.#find("versions").querySelectorAll("input")];
  }

  #list() {
    for (const [number, radio] of this.#radios().entries()) {
      radio.checked = number === this.current;
      radio.closest("label").querySelector(".verdict").textContent = SAID[this.#verdicts[number]];
      radio.addEventListener("change", () => this.choose(number), { signal: this.#signal });
    }
  }

  async #explain(code) {
    const file = this.#film.file.id;
    let status = 0;
    try {
      const address = `${base}/api/v1/stream/file/${file}`;
      status = (await fetch(address, { method: "HEAD", cache: "no-store", signal: this.#signal })).status;
    } catch {
      if (this.#signal.aborted) return;
    }
    if (file !== this.#film.file.id) return;
    if (status === 0 || status === 429 || status >= 500) this.#wait();
    else if (status === 401) this.#say(gettext("You are signed out"), gettext("Sign in, and playback continues where you are."), [this.#signIn()]);
    else if (status >= 400) this.#say(gettext("This file is missing"), gettext("It was moved or removed, or you no longer have access to it."), this.#others());
    else if (code === MediaError.MEDIA_ERR_NETWORK) this.#retryLater();
    else {
      this.#verdicts[this.current] = FAILS;
      this.#list();
      this.#refuse();
    }
  }

  // Say beforehand what will not be audible.
  #warn() {
    this.#notices.hide("silent");
    if (this.#verdicts[this.current] !== SILENT) return;
    const choices = this.#others()
      .filter(({ verdict: foreseen }) => foreseen === PLAYS)
      .map(({ label, run }) => [gettext("Play %(title)s", { title: label }), run]);
    const text = gettext("This browser cannot play the sound of %(version)s.", { version: this.#versions[this.current].label });
    this.#notices.show("silent", text, { choices });
  }

  #refuse() {
    const label = this.#versions[this.current].label;
    const others = this.#others();
    const better = alternatives.format(others.map((choice) => choice.label));
    const text = others.length
      ? gettext("It can play %(versions)s.", { versions: better })
      : gettext("It cannot play any of the available versions. Another browser, or a player such as mpv, may be able to.");
    const anyway = { label: gettext("%(version)s anyway", { version: label }), run: () => this.choose(this.current, true), isPlain: true };
    this.#say(gettext("This browser cannot play %(version)s", { version: label }), text, this.#film.isHeld ? [...others, anyway] : others);
  }

  // The server does not answer: the buffered part continues, and the rest is requested repeatedly.
  #wait() {
    this.#say(gettext("The server cannot be reached"), gettext("Playback continues as soon as it answers."), []);
    this.#retryLater();
  }

  #retryLater() {
    this.#retry = setTimeout(() => this.#again(), this.#retryMs);
    this.#retryMs = Math.min(30_000, this.#retryMs * 2);
  }

  #again() {
    clearTimeout(this.#retry);
    this.#retry = 0;
    this.#film.load(this.#versions[this.current], this.#film.position, true);
  }

  #others() {
    return [...this.#versions.entries()]
      .filter(([number]) => number !== this.current && this.#verdicts[number] !== FAILS)
      .map(([number, { label }]) => ({
        label,
        verdict: this.#verdicts[number],
        run: () => this.choose(number, true),
      }));
  }

  #signIn() {
    const here = location.pathname.slice(base.length);
    return { label: gettext("Sign in"), address: `${base}/sign-in?next=${encodeURIComponent(here)}` };
  }

  #say(title, text, choices) {
    this.#find("fault-title").textContent = title;
    this.#find("fault-text").textContent = text;
    this.#find("fault-choices").replaceChildren(
      ...choices.map(({ label, run, address, isPlain }) => {
        const choice = document.createElement(address ? "a" : "button");
        choice.className = isPlain ? "choice" : "choice first";
        choice.textContent = address ? label : gettext("Play %(title)s", { title: label });
        if (address) choice.href = address;
        else choice.type = "button";
        if (run) choice.addEventListener("click", run);
        return choice;
      }),
    );
    this.#find("fault").hidden = false;
    this.#find("spinner").hidden = true;
    this.#find("fault-choices").firstElementChild?.focus({ preventScroll: true });
  }
}
