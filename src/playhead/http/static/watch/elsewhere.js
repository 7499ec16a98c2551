// Follows the same film on other devices: offers to jump to their position, and says when one has taken over.
import { base } from "../page.js";
import { clock } from "./text.js";
import { gettext } from "../words.js";

const NEAR_S = 5;
const RECENT_MS = 120_000;

export function followOthers({ film, notices, reporter, about, signal }) {
  let there = null; // who is playing elsewhere: {session, device, position}
  let ignored = null; // the session whose notice was dismissed

  const onClose = () => { ignored = there.session; };
  const jump = [gettext("Jump there"), () => film.resume(there.position)];
  const keepHere = [gettext("Save from here"), () => reporter.takeOver()];

  const settle = () => {
    there = ignored = null;
    notices.hide("elsewhere");
    notices.hide("superseded");
  };

  const show = () => {
    if (!there || there.session === ignored) return;
    const name = there.device || gettext("Another device");
    const at = clock(there.position);
    if (film.paused) {
      notices.hide("superseded");
      if (Math.abs(there.position - film.position) > NEAR_S) {
        notices.show("elsewhere", gettext("%(device)s is at %(position)s", { device: name, position: at }), { choices: [jump], onClose });
      }
    } else {
      notices.hide("elsewhere");
      const text = gettext(
        "%(device)s is playing this now, at %(position)s. Meanwhile, what you watch here is not saved.",
        { device: name, position: at },
      );
      notices.show("superseded", text, { choices: [jump, keepHere], onClose });
    }
  };

  document.addEventListener("playhead:progress", ({ detail }) => {
    if (!detail.progress || !detail.items?.includes(about.id)) return;
    if (detail.session_id === about.session_id) {
      settle();
      return;
    }
    there = { session: detail.session_id, device: detail.device, position: detail.progress.position_seconds };
    show();
  }, { signal });

  // Something may have been missed: ask who reported last, and whether that was just now.
  document.addEventListener("playhead:refetch", async () => {
    try {
      const answer = await fetch(`${base}/api/v1/playback/${about.kind}/${about.id}/state`, { signal });
      if (!answer.ok) return;
      const state = await answer.json();
      if (state.session === about.session_id || !(Date.now() - Date.parse(state.last_watched_at) < RECENT_MS)) return;
      there = { session: state.session, device: state.device, position: state.position_seconds };
      show();
    } catch {
      // Unreachable; the stream reconnects, and asks again.
    }
  }, { signal });
}
