// When the player reports: at the start, every ten seconds while it plays, on pause, seek and end, and when its tab is
// hidden or closed.
import { deviceName } from "./device.js";

const EVERY_MS = 10_000;
const SETTLED_MS = 400; // several quick seeks count as one

export function newSession() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (octet) => octet.toString(16).padStart(2, "0")).join("");
}

export class Reporter {
  #film;
  #sender;
  #about;
  #started = false;
  #lastAt = -Infinity;
  #last = "";
  #settling = 0;

  // `about` says what is played: {kind, id, session_id}. `signal` stops it.
  constructor(film, sender, about, signal) {
    this.#film = film;
    this.#sender = sender;
    this.#about = about;
    const on = (name, act) => film.addEventListener(name, act, { signal });
    on("play", () => this.report("start"));
    on("pause", () => this.#settle() || this.#started && this.report("pause"));
    on("ended", () => this.report("stop"));
    on("time", () => this.#keepUp());
    on("seeked", () => {
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => this.#settle(), SETTLED_MS);
    });
    document.addEventListener("visibilitychange", () => document.hidden && this.#leave(false), { signal });
    addEventListener("pagehide", () => this.leave(), { signal });
    signal.addEventListener("abort", () => clearTimeout(this.#settling));
  }

  // Send the last report.
  leave() {
    this.#leave(true);
  }

  // Report that this device is playing, whatever others do.
  takeOver() {
    this.report("start");
  }

  report(event, leaving = false) {
    const duration = this.#film.duration;
    if (!(duration > 0)) return;
    const position = Math.max(0, Math.min(this.#film.position, duration));
    this.#started = true;
    this.#lastAt = performance.now();
    const told = {
      position_seconds: Math.round(position * 1000) / 1000,
      duration_seconds: Math.round(duration * 1000) / 1000,
      event,
      file_id: this.#film.file.id,
      device: deviceName(),
    };
    this.#last = `${event} ${told.position_seconds}`;
    this.#sender.send({ ...this.#about, ...told }, leaving);
  }

  #keepUp() {
    if (!this.#film.paused && performance.now() - this.#lastAt >= EVERY_MS) this.report("progress");
  }

  // Report a pending seek, and return whether there was one.
  #settle(leaving = false) {
    if (!this.#settling) return false;
    clearTimeout(this.#settling);
    this.#settling = 0;
    this.report("seek", leaving);
    return true;
  }

  #leave(forGood) {
    const settled = this.#settle(true);
    if (!this.#started || (settled && !forGood)) return;
    const event = forGood ? "stop" : this.#film.paused ? "pause" : "progress";
    const position = Math.round(this.#film.position * 1000) / 1000;
    if (this.#last !== `${event} ${position}`) this.report(event, true);
  }
}
