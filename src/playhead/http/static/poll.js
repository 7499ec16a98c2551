// Refreshes regions that no event covers: `data-poll` is the interval in milliseconds while the page is visible.
import { refresh } from "./live.js";

const region = document.querySelector("[data-poll]");
if (region) setInterval(() => document.hidden || refresh(), Number(region.dataset.poll));
