// Short messages at the bottom of the page, each with at most one action, for some seconds.

const SHOWN_MS = 8000;

// Show `text`; `action` is {label, run}. It stays while the pointer or the focus is on it. Returns a function to remove
// it.
export function toast(text, action) {
  const shown = document.createElement("div");
  shown.className = "toast";
  const words = document.createElement("span");
  words.textContent = text;
  shown.append(words);
  let timer = 0;
  const away = () => {
    clearTimeout(timer);
    shown.remove();
  };
  if (action) {
    const button = document.createElement("button");
    button.className = "plain";
    button.textContent = action.label;
    button.addEventListener("click", () => {
      away();
      action.run();
    });
    shown.append(button);
  }
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(away, SHOWN_MS);
  };
  for (const name of ["pointerenter", "focusin"]) shown.addEventListener(name, () => clearTimeout(timer));
  for (const name of ["pointerleave", "focusout"]) shown.addEventListener(name, wait);
  document.getElementById("toasts").append(shown);
  wait();
  return away;
}
