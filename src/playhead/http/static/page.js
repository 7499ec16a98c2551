// Where Playhead is mounted, and asking it for things.

export const base = document.documentElement.dataset.base;

// Ask a route of ours. A session that has ended leads to the sign-in page, and back here afterwards.
export async function ask(path, options = {}) {
  const answer = await fetch(base + path, { cache: "no-store", ...options });
  if (answer.status === 401) {
    const here = location.pathname.slice(base.length) + location.search;
    location.assign(`${base}/sign-in?next=${encodeURIComponent(here)}`);
  }
  return answer;
}
