// The player's own buttons and sliders, and when they are visible.
import { keep, recall } from "./memory.js";
import { clock, spoken } from "./text.js";
import { gettext } from "../words.js";

export const STEP_S = 10;
const VOLUME_STEP = 0.05;
const VOLUME_KEY = "playhead.volume";
const IDLE_MS = 3000;

export class Controls {
  #film;
  #video;
  #player;
  #find;
  #signal;
  #begun = false;
  #dragging = false;
  #idle = 0;

  constructor({ film, video, player, find, signal }) {
    this.#film = film;
    this.#video = video;
    this.#player = player;
    this.#find = find;
    this.#signal = signal;
    video.removeAttribute("controls");
    find("controls").hidden = false;
    this.#followFilm();
    this.#buttons();
    this.#timeline();
    this.#volume();
    this.#picture();
    this.#screen();
    this.#hiding();
  }

  // Skip some seconds forward, or back with a negative number.
  step(seconds) {
    this.#film.seek(this.#film.position + seconds);
    this.wake();
  }

  changeVolume(steps) {
    this.#video.muted = false;
    this.#video.volume = Math.min(1, Math.max(0, Math.round((this.#video.volume + steps * VOLUME_STEP) * 100) / 100));
  }

  toggleMute() {
    this.#video.muted = !this.#video.muted;
  }

  async togglePicture() {
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else await this.#video.requestPictureInPicture?.().catch(() => {});
  }

  // The whole page, so that full screen survives the change to the next episode.
  toggleScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (document.documentElement.requestFullscreen) document.documentElement.requestFullscreen().catch(() => {});
    else this.#video.webkitEnterFullscreen?.();
  }

  // Show the controls, and hide them again after some time without movement.
  wake() {
    this.#player.classList.remove("idle");
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#rest(), IDLE_MS);
  }

  #on(target, name, act) {
    target.addEventListener(name, act, { signal: this.#signal });
  }

  #followFilm() {
    const playing = () => {
      const paused = this.#film.paused;
      this.#player.classList.toggle("playing", !paused);
      const [name, key] = [paused ? gettext("Play") : gettext("Pause"), "k"];
      this.#find("play").setAttribute("aria-label", name);
      this.#find("play").title = `${name} (${key})`;
      this.#begun ||= !paused;
      this.#find("begin").hidden = this.#begun;
      this.wake();
    };
    for (const name of ["play", "pause", "ended"]) this.#on(this.#film, name, playing);
    for (const name of ["time", "length"]) this.#on(this.#film, name, () => this.#showTime());
    this.#on(this.#film, "waiting", () => { this.#find("spinner").hidden = false; });
    this.#on(this.#film, "ready", () => {
      this.#find("spinner").hidden = true;
      playing();
    });
    this.#on(this.#video, "progress", () => this.#showTime());
  }

  #showTime() {
    const { position, duration, loaded } = this.#film;
    const timeline = this.#find("timeline");
    timeline.max = String(duration || 1);
    if (!this.#dragging) timeline.value = String(position);
    const shown = this.#dragging ? Number(timeline.value) : position;
    timeline.setAttribute("aria-valuetext", gettext("%(position)s of %(duration)s", { position: spoken(shown), duration: spoken(duration) }));
    timeline.style.setProperty("--played", duration ? shown / duration : 0);
    timeline.style.setProperty("--loaded", duration ? Math.min(1, loaded / duration) : 0);
    this.#find("time").textContent = clock(shown);
    this.#find("left").textContent = `−${clock(Math.max(0, Math.ceil(duration) - Math.floor(shown)))}`;
  }

  #buttons() {
    this.#on(this.#find("play"), "click", () => this.#film.toggle());
    this.#on(this.#find("begin"), "click", () => this.#film.play());
    this.#on(this.#find("rewind"), "click", () => this.step(-STEP_S));
    this.#on(this.#find("forward"), "click", () => this.step(STEP_S));
  }

  #timeline() {
    const timeline = this.#find("timeline");
    this.#on(timeline, "input", () => {
      this.#dragging = true;
      this.#showTime();
    });
    this.#on(timeline, "change", () => {
      this.#dragging = false;
      this.#film.seek(Number(timeline.value));
    });
    const hover = this.#find("hover");
    this.#on(timeline, "pointermove", (event) => {
      const { left, width } = timeline.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
      hover.textContent = clock(share * this.#film.duration);
      hover.style.setProperty("--at", share);
      hover.hidden = event.pointerType !== "mouse";
    });
    this.#on(timeline, "pointerleave", () => { hover.hidden = true; });
  }

  #volume() {
    const slider = this.#find("volume");
    const show = () => {
      const { muted, volume } = this.#video;
      slider.value = String(muted ? 0 : Math.round(volume * 100));
      slider.style.setProperty("--played", muted ? 0 : volume);
      slider.setAttribute("aria-valuetext", muted ? gettext("Muted") : `${Math.round(volume * 100)} %`);
      this.#find("mute").setAttribute("aria-label", muted ? gettext("Unmute") : gettext("Mute"));
      this.#player.classList.toggle("silent", muted || volume === 0);
    };
    this.#on(this.#video, "volumechange", () => {
      show();
      keep(VOLUME_KEY, String(this.#video.volume));
    });
    this.#on(slider, "input", () => {
      this.#video.muted = false;
      this.#video.volume = Number(slider.value) / 100;
    });
    this.#on(this.#find("mute"), "click", () => this.toggleMute());
    const kept = Number.parseFloat(recall(VOLUME_KEY));
    if (kept >= 0 && kept <= 1) this.#video.volume = kept;
    show();
  }

  #picture() {
    const button = this.#find("picture");
    button.hidden = !document.pictureInPictureEnabled;
    this.#on(button, "click", () => this.togglePicture());
    for (const [name, on] of [["enterpictureinpicture", true], ["leavepictureinpicture", false]]) {
      this.#on(this.#video, name, () => button.setAttribute("aria-pressed", String(on)));
    }
  }

  #screen() {
    const button = this.#find("fullscreen");
    button.hidden = !document.fullscreenEnabled && !this.#video.webkitEnterFullscreen;
    const show = () => {
      const full = document.fullscreenElement !== null;
      button.setAttribute("aria-label", full ? gettext("Exit full screen") : gettext("Full screen"));
      this.#player.classList.toggle("full", full);
    };
    this.#on(button, "click", () => this.toggleScreen());
    this.#on(document, "fullscreenchange", show);
    show();
  }

  // A mouse click plays and pauses; the first touch shows the controls.
  #hiding() {
    let touched = false;
    this.#on(this.#video, "pointerdown", (event) => { touched = event.pointerType === "touch"; });
    this.#on(this.#video, "click", () => {
      if (!touched) this.#film.toggle();
      else if (this.#player.classList.contains("idle")) this.wake();
      else this.#rest();
    });
    this.#on(this.#video, "dblclick", () => touched || this.toggleScreen());
    this.#on(this.#player, "pointermove", (event) => event.pointerType === "touch" || this.wake());
    for (const name of ["keydown", "focusin"]) this.#on(this.#player, name, () => this.wake());
    this.#signal.addEventListener("abort", () => clearTimeout(this.#idle));
    this.wake();
  }

  #rest() {
    const busy = this.#film.paused || this.#dragging || !this.#find("menu").hidden;
    const pointed = this.#player.querySelector(":is(.player-bottom, .player-top):hover");
    const asking = this.#player.querySelector(".panel:not([hidden])");
    if (busy || pointed || asking) return;
    this.#player.classList.add("idle");
  }
}
