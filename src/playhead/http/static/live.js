// Follows changes on the user's other devices, and keeps the page as the server would render it now.
//
// One stream per page. Each event is dispatched on `document` as `playhead:progress`, `playhead:watched`,
// `playhead:lists` or `playhead:refetch`, with its data as `detail`. Regions marked `data-live` (each needs an id) are
// fetched and replaced if they differ; within a region, unchanged children with a `data-key` are kept.
import { base } from "./page.js";

const NAMES = ["progress", "watched", "lists", "refetch"];
const GATHER_MS = 150;

let timer = 0;
let fetching = false;
let again = false;

export function followChanges() {
  let source = null;
  const open = () => {
    source = new EventSource(`${base}/api/v1/events`);
    for (const name of NAMES) {
      source.addEventListener(name, (event) => {
        document.dispatchEvent(new CustomEvent(`playhead:${name}`, { detail: JSON.parse(event.data) }));
        refreshSoon();
      });
    }
  };
  open();
  // A page in the browser's back/forward cache must not hold a stream, and may have missed something meanwhile.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      open();
      refreshSoon();
    }
  });
}

export function refreshSoon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, GATHER_MS);
}

export async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  const regions = [...document.querySelectorAll("[data-live]")];
  if (regions.length === 0) return;
  fetching = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store", headers: { accept: "text/html" } });
    if (answer.ok && !answer.redirected) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const region of regions) {
        const other = fresh.getElementById(region.id);
        if (other) replace(region, other);
      }
    }
  } catch {
    // The server is unreachable; the stream reconnects on its own, and starts with `refetch`.
  } finally {
    fetching = false;
    if (again) {
      again = false;
      refreshSoon();
    }
  }
}

// Make `old` equal to `fresh`. Unchanged keyed children stay, so that pictures do not flicker and the focus is kept.
export function replace(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.contains(openMenu())) return; // a menu is open; the next change brings the rest
  const focused = document.activeElement;
  const key = old.contains(focused) ? focused.closest("[data-key]")?.dataset.key : undefined;
  const list = old.querySelector(":scope > [data-list]");
  const freshList = fresh.querySelector(":scope > [data-list]");
  if (list && freshList) {
    const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
    for (const child of [...freshList.children]) {
      const same = known.get(child.dataset.key);
      if (same?.isEqualNode(child)) child.replaceWith(same);
    }
  }
  old.replaceChildren(...fresh.childNodes);
  document.dispatchEvent(new CustomEvent("playhead:replaced", { detail: old }));
  if (key !== undefined && !document.contains(focused)) {
    old.querySelector(`[data-key="${CSS.escape(key)}"] :is(a, button, summary)`)?.focus({ preventScroll: true });
  }
}

function openMenu() {
  return document.querySelector("details.menu[open]");
}
