// One film on one timeline, however many files it is split into: what a `<video>` is for a single file.
//
// Events: `play`, `pause`, `seeked`, `time`, `length`, `waiting`, `ready`, `ended`, `version`, and `fault` with the
// video's error code as `detail`. Switching to another part or version is neither a pause nor a seek.

const TRIES_MAX = 3;

export class Film extends EventTarget {
  #video;
  #source;
  #parts = [];
  #number = 0;
  #opening = null;
  #goesOn = false;
  version = null;

  // `source` returns the address of a file by its id; `signal` stops everything.
  constructor(video, source, signal) {
    super();
    this.#video = video;
    this.#source = source;
    const on = (name, act) => video.addEventListener(name, act, { signal });
    on("loadedmetadata", () => this.#opened());
    on("durationchange", () => this.#say("length"));
    on("play", () => {
      const isNew = !this.#goesOn;
      this.#goesOn = false;
      if (isNew && !this.#opening) this.#say("play");
    });
    on("pause", () => this.#opening || video.ended || this.#say("pause"));
    on("seeked", () => {
      if (this.#opening) return;
      this.#say("seeked");
      if (video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) this.#say("ready");
    });
    on("timeupdate", () => this.#opening || this.#say("time"));
    on("waiting", () => this.#say("waiting"));
    on("seeking", () => this.#say("waiting"));
    for (const name of ["canplay", "playing"]) on(name, () => this.#say("ready"));
    on("ended", () => this.#ended());
    on("error", () => this.#say("fault", video.error?.code ?? 0));
    signal.addEventListener("abort", () => {
      video.removeAttribute("src");
      video.load();
    });
  }

  // Whether a version is selected but not loaded.
  get isHeld() {
    return this.#opening !== null && !this.#video.hasAttribute("src");
  }

  get file() {
    return this.#parts[this.#number];
  }

  get duration() {
    if (this.#parts.length === 1) {
      const seen = this.#video.duration;
      return Number.isFinite(seen) && seen > 0 ? seen : (this.#parts[0].seconds ?? 0);
    }
    return this.#parts.reduce((sum, part) => sum + (part.seconds ?? 0), 0);
  }

  get position() {
    return this.#offset(this.#number) + (this.#opening ? this.#opening.at : this.#video.currentTime);
  }

  get paused() {
    return this.#opening ? !this.#opening.play : this.#video.paused;
  }

  // How far the film is buffered beyond the position.
  get loaded() {
    const { buffered, currentTime } = this.#video;
    for (let number = 0; number < buffered.length; number += 1) {
      if (buffered.start(number) <= currentTime + 0.5 && currentTime <= buffered.end(number)) {
        return this.#offset(this.#number) + buffered.end(number);
      }
    }
    return this.position;
  }

  // Show a version from a position on.
  load(version, position, play) {
    this.version = version;
    this.#parts = version.parts;
    this.#open(...this.#place(position), play);
    this.#say("version");
  }

  // Select a version and a position without loading it.
  hold(version, position) {
    this.version = version;
    this.#parts = version.parts;
    const [number, at] = this.#place(position);
    this.#number = number;
    this.#opening = { at, play: false, sought: false, goesOn: false };
    this.#video.removeAttribute("src");
    this.#video.load();
    for (const name of ["version", "length", "time"]) this.#say(name);
  }

  play() {
    if (this.#video.ended && !this.#opening) this.seek(0); // at the end of all parts, not of the last
    if (this.#opening) {
      this.#opening.play = true;
      return;
    }
    this.#video.play().catch(() => {}); // a browser that requires a user gesture first stays paused
  }

  pause() {
    if (this.#opening) this.#opening.play = false;
    this.#video.pause();
  }

  toggle() {
    if (this.paused) this.play();
    else this.pause();
  }

  seek(position) {
    const [number, at] = this.#place(Math.max(0, Math.min(position, this.duration || position)));
    if (number !== this.#number) this.#open(number, at, !this.paused, true);
    else if (this.#opening) this.#opening.at = at;
    else this.#video.currentTime = at;
    this.#say("time");
  }

  // Seek to where this film was left, perhaps in another version; what completes this one is not where it was left.
  resume(position) {
    const { completed, latest } = this.version;
    this.seek(completed === null || position < completed ? position : latest);
  }

  #open(number, at, play, sought = false) {
    const video = this.#video;
    const played = this.#opening ? this.#opening.goesOn : !video.paused || video.ended;
    this.#number = number;
    this.#opening = { at, play, sought, goesOn: play && played };
    const address = new URL(this.#source(this.file.id), location.href).href;
    video.preload = "auto";
    this.#say("waiting");
    // The page may have started to load it already, as it does without scripts.
    if (video.src.split("#")[0] !== address || video.error) video.src = address;
    else if (video.readyState > 0) this.#opened();
  }

  // Seek to the requested start, and only then emit events.
  #opened(tries = 0) {
    const opening = this.#opening;
    if (!opening) return;
    const video = this.#video;
    const at = Math.min(opening.at, video.duration);
    const onwards = () => this.#opening === opening && this.#opened(tries + 1);
    if (video.seeking || (Math.abs(video.currentTime - at) > 0.05 && tries < TRIES_MAX)) {
      video.addEventListener("seeked", onwards, { once: true });
      if (!video.seeking) video.currentTime = at;
      return;
    }
    this.#opening = null;
    this.#say("length");
    this.#say("time");
    if (opening.sought) this.#say("seeked");
    if (opening.play) {
      this.#goesOn = opening.goesOn;
      this.play();
    }
    this.#say("ready");
  }

  #ended() {
    if (this.#number + 1 < this.#parts.length) this.#open(this.#number + 1, 0, true);
    else this.#say("ended");
  }

  #offset(number) {
    return this.#parts.slice(0, number).reduce((sum, part) => sum + (part.seconds ?? 0), 0);
  }

  #place(position) {
    let rest = position;
    for (const [number, { seconds }] of this.#parts.entries()) {
      if (number === this.#parts.length - 1 || seconds === null || rest < seconds) return [number, rest];
      rest -= seconds;
    }
    return [0, 0];
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
