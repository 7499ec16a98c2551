// The player's menu: versions, subtitles, sound, speed, earlier positions, and the name of this device.
import { deviceName, nameDevice } from "./device.js";

export class Menu {
  #room;
  #button;

  constructor({ film, video, find, signal }) {
    this.#room = find("menu");
    this.#button = find("settings");
    this.#button.setAttribute("aria-expanded", "false");
    this.#button.addEventListener("click", () => this.toggle(), { signal });
    this.#room.addEventListener("change", ({ target }) => {
      // The default survives a change of files.
      if (target.name === "rate") video.playbackRate = video.defaultPlaybackRate = Number(target.value);
    }, { signal });
    this.#room.addEventListener("click", ({ target }) => {
      const point = target.closest("[data-position]");
      if (!point) return;
      film.resume(Number(point.dataset.position));
      this.close();
    }, { signal });
    const device = find("device");
    device.value = deviceName();
    device.addEventListener("change", () => {
      nameDevice(device.value);
      device.value = deviceName();
    }, { signal });
    document.addEventListener("pointerdown", ({ target }) => {
      if (this.isOpen && !this.#room.contains(target) && !this.#button.contains(target)) this.close();
    }, { signal });
  }

  get isOpen() {
    return !this.#room.hidden;
  }

  toggle() {
    if (this.isOpen) this.close();
    else this.#open();
  }

  close() {
    if (!this.isOpen) return;
    const held = this.#room.contains(document.activeElement);
    this.#room.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    if (held) this.#button.focus({ preventScroll: true });
  }

  #open() {
    this.#room.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    this.#room.querySelector("input:checked, input, button")?.focus({ preventScroll: true });
  }
}
