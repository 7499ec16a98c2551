// Lets keyboards, headphones and lock screens show and control what is playing.
import { base } from "../page.js";
import { STEP_S } from "./controls.js";

export function joinMediaSession({ film, video, data, controls, next, signal }) {
  const session = navigator.mediaSession;
  if (!session) return;
  const poster = `${base}/api/v1/items/${data.poster}/artwork?kind=poster&width=480`;
  session.metadata = new MediaMetadata({ title: data.title, artist: data.show ?? "", artwork: [{ src: poster }] });
  const handlers = {
    play: () => film.play(),
    pause: () => film.pause(),
    stop: () => film.pause(),
    seekbackward: ({ seekOffset }) => controls.step(-(seekOffset ?? STEP_S)),
    seekforward: ({ seekOffset }) => controls.step(seekOffset ?? STEP_S),
    seekto: ({ seekTime }) => film.seek(seekTime),
    nexttrack: next.isThere ? () => next.go() : null,
  };
  for (const [name, handler] of Object.entries(handlers)) {
    try {
      session.setActionHandler(name, handler);
    } catch {
      // Not every browser supports every action.
    }
  }
  const show = () => {
    session.playbackState = film.paused ? "paused" : "playing";
    const { duration } = film;
    if (!(duration > 0) || !session.setPositionState) return;
    const position = Math.min(duration, Math.max(0, film.position));
    session.setPositionState({ duration, position, playbackRate: video.playbackRate || 1 });
  };
  for (const name of ["play", "pause", "seeked", "length", "ended"]) film.addEventListener(name, show, { signal });
  video.addEventListener("ratechange", show, { signal });
}
