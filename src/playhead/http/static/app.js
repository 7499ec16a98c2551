// What every page of somebody who is signed in runs. Nothing needs it: pages work without scripts.
import { enhanceActs } from "./acts.js";
import { followChanges } from "./live.js";
import { enhanceMenus } from "./menus.js";
import { sendKept } from "./watch/sending.js";

followChanges();
enhanceActs();
enhanceMenus();
sendKept();

// A picture that is not there leaves the icon below it. `error` does not bubble, so it is caught on its way down.
document.addEventListener("error", (event) => event.target.matches?.(".picture img") && event.target.remove(), true);
for (const image of document.querySelectorAll(".picture img")) {
  if (image.complete && image.naturalWidth === 0 && image.loading !== "lazy") image.remove();
}
