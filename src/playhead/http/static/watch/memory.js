// What the player remembers of this browser's user. A browser that keeps nothing forgets it, and plays all the same.

export function recall(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

export function keep(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // It is asked for, or guessed, anew.
  }
}
