// Messages of the player over the picture: one line each, with its actions. Also visible in full screen.

export class Notices {
  #room;
  #said;
  #shown = new Map();

  // `room` contains the notices, `said` is read out by screen readers: a notice when it appears, not on every change.
  constructor(room, said, signal) {
    this.#room = room;
    this.#said = said;
    signal.addEventListener("abort", () => room.replaceChildren());
  }

  // Show a notice, or change the text of the one with that name. `choices` are [label, run] or [label, address]. It
  // stays until it is removed, or for `forMs`; `onClose` is called when the user closes it.
  show(name, text, { choices = [], forMs = 0, onClose = () => {} } = {}) {
    let line = this.#shown.get(name);
    if (line) {
      line.querySelector("p").textContent = text;
      return;
    }
    line = document.createElement("div");
    line.className = "notice-line";
    line.dataset.notice = name;
    const words = document.createElement("p");
    words.textContent = text;
    line.append(words);
    for (const [label, act] of choices) line.append(this.#choice(name, label, act));
    line.append(this.#closing(name, onClose));
    this.#shown.set(name, line);
    this.#room.append(line);
    this.#said.textContent = text;
    if (forMs) this.#goAfter(name, line, forMs);
  }

  hide(name) {
    const line = this.#shown.get(name);
    if (!line) return;
    const held = line.contains(document.activeElement);
    this.#shown.delete(name);
    line.remove();
    if (held) document.getElementById("play")?.focus({ preventScroll: true });
  }

  #choice(name, label, act) {
    const choice = document.createElement(typeof act === "string" ? "a" : "button");
    choice.className = "choice";
    choice.textContent = label;
    if (typeof act === "string") {
      choice.href = act;
    } else {
      choice.type = "button";
      choice.addEventListener("click", () => {
        this.hide(name);
        act();
      });
    }
    return choice;
  }

  #closing(name, onClose) {
    const closing = document.getElementById("closing").content.firstElementChild.cloneNode(true);
    closing.addEventListener("click", () => {
      this.hide(name);
      onClose();
    });
    return closing;
  }

  #goAfter(name, line, forMs) {
    let timer = 0;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#shown.get(name) === line && this.hide(name), forMs);
    };
    // Do not close it while the user is about to choose.
    for (const held of ["pointerenter", "focusin"]) line.addEventListener(held, () => clearTimeout(timer));
    for (const freed of ["pointerleave", "focusout"]) line.addEventListener(freed, wait);
    wait();
  }
}
