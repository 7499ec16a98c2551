// The end of an episode: counts down, then plays the next one, or stays on request.
import { gettext } from "../words.js";

const SECONDS = 10;

export class Next {
  #room;
  #find;
  #go;
  #timer = 0;
  #rest = 0;

  // `go` plays the item at an address.
  constructor({ film, find, go, signal }) {
    this.#room = find("next");
    this.#find = find;
    this.#go = go;
    if (!this.#room) return;
    const on = (target, name, act) => target.addEventListener(name, act, { signal });
    on(film, "ended", () => this.#offer());
    for (const name of ["play", "seeked"]) on(film, name, () => this.cancel());
    on(find("next-cancel"), "click", () => this.cancel());
    for (const link of [find("next-now"), find("skip")]) on(link, "click", () => this.go());
    signal.addEventListener("abort", () => clearInterval(this.#timer));
  }

  get isThere() {
    return this.#room !== null;
  }

  get isOffered() {
    return this.#room?.hidden === false;
  }

  // Go to the next episode, if there is one.
  go() {
    if (!this.#room) return;
    clearInterval(this.#timer);
    this.#go(this.#find("next").dataset.address);
  }

  // Stay.
  cancel() {
    if (!this.isOffered) return;
    clearInterval(this.#timer);
    const held = this.#room.contains(document.activeElement);
    this.#room.hidden = true;
    if (held) this.#find("play").focus({ preventScroll: true });
  }

  #offer() {
    this.#rest = SECONDS;
    this.#room.hidden = false;
    this.#find("next-now").focus({ preventScroll: true });
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#count(), 1000);
    this.#show();
  }

  #count() {
    this.#rest -= 1;
    this.#show();
    if (this.#rest === 0) this.go();
  }

  #show() {
    this.#find("next-when").textContent = gettext("Next episode in %(seconds)s s", { seconds: this.#rest });
    this.#find("countdown").style.setProperty("--left", this.#rest / SECONDS);
  }
}
