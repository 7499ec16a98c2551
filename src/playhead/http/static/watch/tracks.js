// Subtitles and sound, as far as a browser offers a choice.
import { keep, recall } from "./memory.js";
import { gettext } from "../words.js";

// The language, or name, of the subtitles that were shown last; OFF if they were turned off.
const KEY = "playhead.subtitles";
const OFF = "off";

const languages = new Intl.DisplayNames(document.documentElement.lang || "en", { type: "language", fallback: "code" });

export class Tracks {
  #film;
  #video;
  #find;
  #signal;
  #file = null;
  #shown = -1;
  #last = 0;

  constructor({ film, video, find, signal }) {
    this.#film = film;
    this.#video = video;
    this.#find = find;
    this.#signal = signal;
    film.addEventListener("version", () => this.#renew(), { signal });
    video.textTracks.addEventListener("change", () => this.#settle(), { signal });
    video.addEventListener("loadedmetadata", () => {
      this.#renew();
      this.#offerSound();
    }, { signal });
  }

  // Show the subtitles that were shown last, else the first ones; or hide them.
  toggle() {
    if (this.#film.file.subtitles.length > 0) this.#choose(this.#shown < 0 ? this.#last : -1);
  }

  // Subtitles belong to a file: another part or version has its own.
  #renew() {
    const { file } = this.#film;
    if (file === this.#file) return;
    this.#file = file;
    for (const track of this.#video.querySelectorAll("track")) track.remove();
    for (const subtitles of file.subtitles) {
      const track = document.createElement("track");
      track.kind = "subtitles";
      track.label = nameOf(subtitles);
      track.srclang = subtitles.language ?? "";
      track.src = subtitles.url;
      this.#video.append(track);
    }
    const wanted = recall(KEY);
    const known = file.subtitles.findIndex((each) => wanted === (each.language ?? nameOf(each)));
    // No choice was made: forced ones are part of the film.
    const shown = wanted ? known : file.subtitles.findIndex((each) => each.forced);
    this.#last = Math.max(0, shown);
    const labels = [gettext("Off"), ...file.subtitles.map(nameOf)];
    this.#list("subtitle-choices", "subtitles", labels, shown + 1, (number) => this.#choose(number - 1));
    this.#find("subtitles").hidden = file.subtitles.length === 0;
    this.#show(shown);
  }

  // Show these subtitles, or none with -1, and remember the choice.
  #choose(number) {
    const chosen = this.#film.file.subtitles[number];
    keep(KEY, chosen ? (chosen.language ?? nameOf(chosen)) : OFF);
    this.#show(number);
  }

  #show(number) {
    this.#shown = number;
    if (number >= 0) this.#last = number;
    for (const [place, { track }] of [...this.#video.querySelectorAll("track")].entries()) {
      track.mode = place === number ? "showing" : "disabled";
    }
    this.#find("subtitles").setAttribute("aria-pressed", String(number >= 0));
    const radio = this.#find("subtitle-choices").querySelectorAll("input")[number + 1];
    if (radio) radio.checked = true;
  }

  // Browsers also show subtitles on their own, or let users choose them in a native menu.
  #settle() {
    const shown = [...Array.from(this.#video.textTracks).entries()].filter(([, track]) => track.mode === "showing");
    const number = shown[0]?.[0] ?? -1;
    if (shown.length > 1) this.#show(this.#shown);
    else if (number !== this.#shown) this.#show(number);
  }

  #offerSound() {
    const sounds = Array.from(this.#video.audioTracks ?? []);
    const labels = sounds.map((sound, number) => sound.label || sound.language || gettext("Track %(number)s", { number: number + 1 }));
    this.#list("sound-choices", "sound", labels, sounds.findIndex((sound) => sound.enabled), (chosen) => {
      for (const [number, sound] of sounds.entries()) sound.enabled = number === chosen;
    });
  }

  #list(id, name, labels, checked, choose) {
    const room = this.#find(id);
    for (const option of room.querySelectorAll("label")) option.remove();
    room.hidden = labels.length < 2;
    for (const [number, text] of labels.entries()) {
      const option = document.createElement("label");
      option.className = "option";
      const radio = document.createElement("input");
      Object.assign(radio, { type: "radio", name, value: String(number), checked: number === checked });
      radio.addEventListener("change", () => choose(number), { signal: this.#signal });
      const words = document.createElement("span");
      words.textContent = text;
      option.append(radio, words);
      room.append(option);
    }
  }
}

// Such as "German", "English, SDH", "German, forced".
function nameOf({ language, title, forced }) {
  const told = [language && languages.of(language), title, forced && gettext("forced")];
  return told.filter(Boolean).join(", ") || gettext("Subtitles");
}
