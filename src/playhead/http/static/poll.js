// Keeps regions up to date of which no event tells: `data-poll` says every how many milliseconds, as long as it is seen.
import { refresh } from "./live.js";

const region = document.querySelector("[data-poll]");
if (region) setInterval(() => document.hidden || refresh(), Number(region.dataset.poll));
