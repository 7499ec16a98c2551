// Subtitles and sound, as far as a browser has a choice of them.
import { base } from "../page.js";
import { keep, recall } from "./memory.js";

const KEY = "playhead.subtitles"; // the language that was chosen last; empty: none

export class Tracks {
  #film;
  #video;
  #find;
  #signal;
  #last = null;

  constructor({ film, video, find, signal }) {
    this.#film = film;
    this.#video = video;
    this.#find = find;
    this.#signal = signal;
    // Tracks belong to a file: another part or version has its own.
    let file = null;
    const renew = () => {
      if (film.file.id === file) return;
      file = film.file.id;
      this.#offerSubtitles();
    };
    film.addEventListener("version", renew, { signal });
    video.addEventListener("loadedmetadata", () => {
      renew();
      this.#offerSound();
    }, { signal });
  }

  // Show subtitles or hide them: those that were shown last, else the first.
  toggle() {
    const radios = [...this.#find("subtitle-choices").querySelectorAll("input")];
    if (radios.length === 0) return;
    const shown = radios.findIndex((radio) => radio.checked);
    radios[shown > 0 ? 0 : (this.#last ?? 1)].click();
  }

  #offerSubtitles() {
    for (const track of this.#video.querySelectorAll("track")) track.remove();
    const file = this.#film.file;
    const wanted = recall(KEY);
    const choices = [["Off", null]];
    for (const { number, label, language, source } of file.subtitles ?? []) {
      const track = document.createElement("track");
      track.kind = "subtitles";
      track.label = label;
      if (language) track.srclang = language;
      track.src = base + source;
      this.#video.append(track);
      choices.push([label, track, number]);
    }
    const first = wanted ? choices.findIndex(([, track]) => track?.label === wanted) : 0;
    this.#last = null;
    this.#list("subtitle-choices", "subtitles", choices.map(([label]) => label), Math.max(0, first), (number) => {
      if (number) this.#last = number;
      keep(KEY, number ? choices[number][0] : "");
      this.#show(choices, number);
    });
    this.#show(choices, Math.max(0, first));
    this.#find("subtitles").hidden = choices.length === 1;
  }

  #show(choices, shown) {
    for (const [number, [, track]] of choices.entries()) {
      if (track) track.track.mode = number === shown ? "showing" : "disabled";
    }
    const button = this.#find("subtitles");
    button.setAttribute("aria-pressed", String(shown > 0));
  }

  #offerSound() {
    const sounds = this.#video.audioTracks;
    const all = sounds ? Array.from(sounds) : [];
    const labels = all.map((sound, number) => sound.label || sound.language || `Track ${number + 1}`);
    this.#list("sound-choices", "sound", labels, all.findIndex((sound) => sound.enabled), (chosen) => {
      for (const [number, sound] of all.entries()) sound.enabled = number === chosen;
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
