// The player's preferences in this browser, per user. A browser that stores nothing forgets them, and still plays.

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
    // The value is asked for, or guessed, again.
  }
}
