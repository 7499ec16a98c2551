// The player by keyboard. A focused element keeps its own keys: a button its space, a choice its arrows.
import { STEP_S } from "./controls.js";

export function listenToKeys({ film, controls, tracks, menu, next, find, signal }) {
  const acts = {
    " ": () => film.toggle(),
    k: () => film.toggle(),
    ArrowLeft: () => controls.step(-STEP_S),
    ArrowRight: () => controls.step(STEP_S),
    ArrowUp: () => controls.changeVolume(1),
    ArrowDown: () => controls.changeVolume(-1),
    f: () => controls.toggleScreen(),
    m: () => controls.toggleMute(),
    c: () => tracks.toggle(),
    i: () => controls.togglePicture(),
    n: () => next.go(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    controls.wake();
    if (event.key === "Escape") {
      if (menu.isOpen) menu.close();
      else if (next.isOffered) next.cancel();
      return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = acts[key];
    if (!act || keepsKey(event.target, key)) return;
    event.preventDefault();
    act();
  }, { signal });

  function keepsKey(target, key) {
    if (target === find("timeline")) return false;
    if (target.matches("input[type=range]")) return key.startsWith("Arrow");
    if (target.matches("input[type=radio]")) return key === " " || key.startsWith("Arrow");
    if (target.matches("input, textarea, select")) return true;
    return key === " " && target.matches("button, a, summary");
  }
}
